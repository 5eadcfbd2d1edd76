/** A new batch: prompts that are typed in, one on each line, or a file of lines. */
import { FileText, X } from "lucide-react";
import { useRef, useState } from "react";
import { Button, IconButton } from "../parts/buttons";
import { FileDrop } from "../parts/FileDrop";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { batches as store } from "../state/batchesOfPage";
import { FILE_BYTES, jsonLines, placeWords, PROMPT_CHARACTERS } from "../text/batches";
import { bytes } from "../text/figures";
import { toParleyError } from "@parley/client";
import { FIELD, Labelled } from "./TaskForm";

export function BatchForm({ onClose }: { onClose: () => void }) {
  const [title, setTitle] = useState("");
  const [text, setText] = useState("");
  const [file, setFile] = useState<File>();
  const [tooLarge, setTooLarge] = useState(false);
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  // The same for every attempt to send this form: what arrived and was not answered is not written twice.
  const name = useRef<{ of: Blob | string; id: string }>(undefined);
  const violations = error === undefined ? [] : toParleyError(error).fieldViolations;
  const ready = file !== undefined || text.trim() !== "";
  return (
    <form
      aria-label="New batch"
      noValidate
      className="animate-rise space-y-4 rounded-2xl border border-line bg-raised p-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (working || !ready) return;
        setWorking(true);
        setError(undefined);
        const of = file ?? text;
        if (name.current?.of !== of) name.current = { of, id: `page-${crypto.getRandomValues(new Uint32Array(3)).join("-")}` };
        store
          .add(file ?? new Blob([jsonLines(text)]), { title: title.trim(), clientBatchId: name.current.id })
          .then(onClose)
          .catch((thrown: unknown) => {
            setError(thrown);
            setWorking(false);
          });
      }}
    >
      <Labelled name="What to call it, if you like">
        {(props) => <input {...props} autoFocus maxLength={200} value={title} onChange={(event) => setTitle(event.target.value)} className={`${FIELD} w-full`} />}
      </Labelled>
      {file ? (
        <div className="flex items-center gap-3 rounded-xl border border-line px-3 py-2">
          <FileText className="size-5 shrink-0 text-quiet" aria-hidden="true" />
          <p className="min-w-0 flex-1 truncate text-sm">
            {file.name} <span className="text-quiet">{bytes(file.size)}</span>
          </p>
          <IconButton small label="Choose another file" onClick={() => setFile(undefined)}>
            <X className="size-4" />
          </IconButton>
        </div>
      ) : (
        <>
          <Labelled name="Prompts, one on each line">
            {(props) => (
              <textarea
                {...props}
                rows={5}
                maxLength={PROMPT_CHARACTERS}
                placeholder={"Summarize: …\nTranslate into German: …"}
                value={text}
                onChange={(event) => setText(event.target.value)}
                className={`${FIELD} block w-full resize-y`}
              />
            )}
          </Labelled>
          <FileDrop
            label="A file of lines"
            accept=".jsonl,.ndjson,.txt,application/jsonl"
            button="Choose a file"
            onFile={(chosen) => {
              setTooLarge(chosen.size > FILE_BYTES);
              if (chosen.size <= FILE_BYTES) setFile(chosen);
            }}
          >
            Or drop a JSONL file here: an object with “prompt” on each line, or lines of OpenAI's batches. At most {FILE_BYTES / 1e6} MB here, and more with the command.
          </FileDrop>
        </>
      )}
      {tooLarge && <Notice kind="bad">This file is larger than {FILE_BYTES / 1e6} MB. Send it with “parley batch run”.</Notice>}
      {error !== undefined && (
        <Notice kind="bad" urgent>
          {violations.length === 0 ? (
            wordsFor(error)
          ) : (
            <ul aria-label="Lines at fault">
              {violations.map(({ field, description }) => (
                <li key={field}>
                  {placeWords(field)}: {description}
                </li>
              ))}
            </ul>
          )}
        </Notice>
      )}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="accent" type="submit" disabled={working || !ready}>
          Send
        </Button>
      </div>
    </form>
  );
}
