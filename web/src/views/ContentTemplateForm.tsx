/** A template of the user's own: what it is called, and the instructions with places for values. */
import { useState } from "react";
import { Button } from "../parts/buttons";
import { content as store } from "../state/contentOfPage";
import { MOST_OWN } from "../state/content";
import { fieldName, placeholdersOf, TEMPLATE_CHARACTERS, type OwnTemplate } from "../text/content";
import { FIELD, Labelled } from "./TaskForm";

interface ContentTemplateFormProps {
  template?: OwnTemplate | undefined;
  /** Given the template when it was kept. */
  onClose: (kept?: OwnTemplate) => void;
}

export function ContentTemplateForm({ template, onClose }: ContentTemplateFormProps) {
  const [title, setTitle] = useState(template?.title ?? "");
  const [text, setText] = useState(template?.text ?? "");
  const [tried, setTried] = useState(false);
  const [full, setFull] = useState(false);
  const { names, fault } = placeholdersOf(text);
  const textFault = text.trim() ? fault : "This is needed.";
  return (
    <form
      aria-label={template ? "Edit the template" : "New template"}
      noValidate
      className="animate-rise space-y-4 rounded-2xl border border-line bg-raised p-4"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (!title.trim() || textFault) return;
        const kept = { id: template?.id ?? `own:${crypto.getRandomValues(new Uint32Array(2)).join("-")}`, title: title.trim(), text };
        if (store.keep(kept)) onClose(kept);
        else setFull(true);
      }}
    >
      <Labelled name="Title" error={tried && !title.trim() ? "This is needed." : undefined}>
        {(props) => <input {...props} autoFocus maxLength={80} value={title} onChange={(event) => setTitle(event.target.value)} className={`${FIELD} w-full`} />}
      </Labelled>
      <Labelled name="Instructions, with {name} wherever a value goes" error={tried ? textFault : undefined}>
        {(props) => (
          <textarea
            {...props}
            rows={5}
            maxLength={TEMPLATE_CHARACTERS}
            placeholder="A toast for {who}, who likes {what}."
            value={text}
            onChange={(event) => setText(event.target.value)}
            className={`${FIELD} block w-full resize-y`}
          />
        )}
      </Labelled>
      <p className="text-xs text-pretty text-quiet" aria-live="polite">
        {names.length > 0 ? `It asks for: ${names.map(fieldName).join(", ")}. ` : ""}
        It is kept in this browser. For everybody, whoever runs this Parley adds a template as a file.
      </p>
      {full && (
        <p role="alert" className="text-sm text-bad">
          This browser has no room for it, or there are {MOST_OWN} already. Delete one first.
        </p>
      )}
      <div className="flex justify-end gap-2">
        <Button onClick={() => onClose()}>Cancel</Button>
        <Button look="accent" type="submit">
          Keep
        </Button>
      </div>
    </form>
  );
}
