/** A project: what it is called, what it is about, and what models are told in it. The browser's own dialog: it holds the focus and ends with Escape. */
import { useEffect, useRef, useState } from "react";
import type { Project } from "@parley/protos/parley/workspace/v1/project_pb";
import { Button } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { wordsFor, wordsForField } from "../rpc/errors";
import { projects as store, tell } from "../state/app";
import { FIELD, Labelled } from "./TaskForm";

export function ProjectDialog({ project, onClose }: { project: Project | undefined; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [fields, setFields] = useState({ title: project?.title ?? "", description: project?.description ?? "", instructions: project?.instructions ?? "" });
  const [working, setWorking] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => dialog.current?.showModal(), []);
  const set = (change: Partial<typeof fields>) => setFields({ ...fields, ...change });
  const elsewhere = error !== undefined && !Object.keys(fields).some((field) => wordsForField(error, field));

  if (project && deleting) {
    return (
      <Confirm
        title="Delete this project?"
        yes="Delete"
        onClose={onClose}
        onYes={() => {
          store.remove(project.projectId).catch((thrown: unknown) => tell(wordsFor(thrown)));
        }}
      >
        “{project.title}” will be gone for good. Its conversations, tasks and documents stay.
      </Confirm>
    );
  }
  return (
    <dialog
      ref={dialog}
      aria-labelledby="project-title"
      onClose={onClose}
      className="m-auto w-[min(34rem,calc(100vw-2rem))] rounded-2xl border border-line bg-raised p-0 text-ink shadow-float open:animate-rise"
    >
      <form
        className="space-y-4 p-5"
        onSubmit={(event) => {
          event.preventDefault();
          if (working || !fields.title.trim()) return;
          setWorking(true);
          const wanted = { ...fields, title: fields.title.trim() };
          (project ? store.change(project.projectId, wanted) : store.add(wanted))
            .then(() => dialog.current?.close())
            .catch((thrown: unknown) => {
              setError(thrown);
              setWorking(false);
            });
        }}
      >
        <h2 id="project-title" className="text-base font-semibold">
          {project ? "Edit the project" : "New project"}
        </h2>
        <p className="text-sm text-pretty text-quiet">
          A project keeps together what belongs together. In it the list shows its conversations, tasks and documents only, and answers are looked up in
          these.
        </p>
        <Labelled name="Title" error={wordsForField(error, "title")}>
          {(props) => <input {...props} autoFocus required maxLength={200} value={fields.title} onChange={({ target }) => set({ title: target.value })} className={`${FIELD} w-full`} />}
        </Labelled>
        <Labelled name="What it is about" error={wordsForField(error, "description")}>
          {(props) => (
            <textarea {...props} rows={2} maxLength={2000} value={fields.description} onChange={({ target }) => set({ description: target.value })} className={`${FIELD} block w-full resize-y`} />
          )}
        </Labelled>
        <Labelled name="What the assistant is told in each conversation" error={wordsForField(error, "instructions")}>
          {(props) => (
            <textarea {...props} rows={4} maxLength={8000} value={fields.instructions} onChange={({ target }) => set({ instructions: target.value })} className={`${FIELD} block w-full resize-y`} />
          )}
        </Labelled>
        <p role="alert" className="text-sm text-bad empty:hidden">
          {elsewhere ? wordsFor(error) : ""}
        </p>
        <div className="flex flex-wrap justify-end gap-2">
          {project && (
            <Button className="mr-auto text-bad" onClick={() => setDeleting(true)}>
              Delete…
            </Button>
          )}
          <Button onClick={() => dialog.current?.close()}>Cancel</Button>
          <Button look="accent" type="submit" disabled={working || !fields.title.trim()}>
            {project ? "Save" : "Make it"}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
