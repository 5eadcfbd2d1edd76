/** The user's projects: what each is about and what is in it, and the way into it. */
import { Folder, FolderOpen, FolderPlus, Settings2 } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import type { Project } from "@parley/protos/parley/workspace/v1/project_pb";
import { Boundary } from "../parts/Boundary";
import { Button, IconButton } from "../parts/buttons";
import { MarkdownLater } from "../parts/MarkdownLater";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { navigation, projects as store } from "../state/app";
import { count } from "../text/figures";

const ProjectDialog = lazy(() => import("./ProjectDialog").then((module) => ({ default: module.ProjectDialog })));

export function Projects() {
  const { projects, loaded, error, current } = useStore(store.store);
  const [dialog, setDialog] = useState<{ project?: Project }>();
  const heading = useRef<HTMLHeadingElement>(null);
  // Events have no counts: they are read when somebody looks.
  useEffect(() => void store.refresh(), []);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-3xl px-4 pt-4 pb-12 sm:px-6">
        <div className="mb-6 flex flex-wrap items-center gap-3">
          <h1 ref={heading} tabIndex={-1} className="min-w-40 flex-1 font-serif text-[1.9rem] leading-tight tracking-[-0.015em] outline-none">
            Projects
          </h1>
          <Button look="accent" onClick={() => setDialog({})}>
            <FolderPlus className="size-4" aria-hidden="true" />
            New project
          </Button>
          <p className="w-full text-sm text-pretty text-quiet">
            A project keeps conversations, tasks and documents together. While you are in one, the page shows only what belongs to it, and answers are
            looked up in that alone.
          </p>
        </div>
        {error && (
          <div className="mb-4">
            <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
              {wordsFor(error)}
            </Notice>
          </div>
        )}
        {projects.length > 0 ? (
          <ul aria-label="Your projects" className="grid gap-3 sm:grid-cols-2">
            {projects.map((project) => (
              <Card key={project.projectId} project={project} here={project.projectId === current} onEdit={() => setDialog({ project })} />
            ))}
          </ul>
        ) : loaded ? (
          <div className="grid justify-items-center rounded-2xl border border-dashed border-line-strong px-6 py-12 text-center">
            <Folder className="size-7 text-quiet" aria-hidden="true" />
            <h2 className="mt-3 font-medium">No projects yet</h2>
            <p className="mt-1 max-w-sm text-sm text-pretty text-quiet">Begin one when some of your conversations, tasks and documents belong together.</p>
          </div>
        ) : (
          !error && <div className="h-32 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />
        )}
      </div>
      {dialog && (
        <Boundary instead={null}>
          <Suspense>
            <ProjectDialog
              project={dialog.project}
              onClose={() => {
                setDialog(undefined);
                // What was pressed may be gone with its project.
                heading.current?.focus();
              }}
            />
          </Suspense>
        </Boundary>
      )}
    </div>
  );
}

function Card({ project, here, onEdit }: { project: Project; here: boolean; onEdit: () => void }) {
  const { projectId, title, description, instructions, sessionCount, openTaskCount } = project;
  const enter = (path: string) => {
    store.choose(projectId);
    navigation.go(path);
  };
  return (
    <li className={`flex min-w-0 flex-col rounded-2xl border bg-raised p-4 ${here ? "border-accent" : "border-line"}`}>
      <div className="flex items-start gap-2">
        {here ? <FolderOpen className="mt-0.5 size-5 shrink-0 text-accent" aria-hidden="true" /> : <Folder className="mt-0.5 size-5 shrink-0 text-quiet" aria-hidden="true" />}
        <h2 className="min-w-0 flex-1 font-medium wrap-anywhere">{title}</h2>
        <IconButton small label={`Edit ${title}`} onClick={onEdit} className="-mt-1 -mr-1.5">
          <Settings2 className="size-4" />
        </IconButton>
      </div>
      <div className="mt-1.5 mb-3 max-h-24 flex-1 overflow-hidden text-sm text-quiet [&_.markdown]:text-sm">
        {description ? <MarkdownLater text={description} /> : <p>{instructions ? "The assistant is told something in it." : ""}</p>}
      </div>
      <p className="mb-3 flex flex-wrap gap-x-4 gap-y-1 text-xs text-quiet tabular-nums">
        <span>{many(sessionCount, "conversation")}</span>
        <span>{many(openTaskCount, "open task")}</span>
      </p>
      <div className="flex flex-wrap gap-2">
        {here ? (
          <Button aria-label={`Leave ${title}`} onClick={() => store.choose("")}>
            Leave
          </Button>
        ) : (
          <Button aria-label={`Go into it: ${title}`} onClick={() => enter("/")}>
            Go into it
          </Button>
        )}
        <Button aria-label={`Tasks of ${title}`} className="border-transparent bg-transparent text-quiet" onClick={() => enter("/tasks")}>
          Tasks
        </Button>
        <Button aria-label={`Documents of ${title}`} className="border-transparent bg-transparent text-quiet" onClick={() => enter("/documents")}>
          Documents
        </Button>
      </div>
    </li>
  );
}

function many(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? "" : "s"}`;
}
