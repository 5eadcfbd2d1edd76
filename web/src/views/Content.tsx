/** Writes e-mails, posts, descriptions and the like from templates, and shows them as they are written. */
import { Pencil, Plus, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import type { ContentTemplate } from "@parley/protos/parley/ai/v1/content_service_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { PanelTitle } from "../parts/PanelTitle";
import { wordsFor } from "../rpc/errors";
import { content as store } from "../state/contentOfPage";
import { asTemplate, type OwnTemplate } from "../text/content";
import { ContentForm } from "./ContentForm";
import { ContentTemplateForm } from "./ContentTemplateForm";
import { ContentVariants } from "./ContentVariants";

export function Content() {
  const { loaded, templatesError, templates, own } = useStore(store.store);
  const [wanted, setWanted] = useState<string>();
  const [editing, setEditing] = useState<OwnTemplate | "new">();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void store.refresh(), []);
  const mine = own.find(({ id }) => id === wanted);
  const template = mine ? asTemplate(mine) : (templates.find(({ templateId }) => templateId === wanted) ?? templates[0]);
  return (
    <>
      <PanelTitle ref={heading} title="Content">
        Fill in what you know, and read along while it is written. Nothing is kept unless you keep it.
      </PanelTitle>
      {templatesError && (
        <div className="mb-4">
          <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
            {wordsFor(templatesError)}
          </Notice>
        </div>
      )}
      {!loaded && !templatesError && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
      {(loaded || own.length > 0) && (
        <ul aria-label="Templates" className="mb-5 grid grid-cols-1 gap-2 sm:grid-cols-2 lg:grid-cols-3">
          {templates.map((each) => (
            <Choice key={each.templateId} template={each} current={each === template} onChoose={() => setWanted(each.templateId)} />
          ))}
          {own.map((each) => (
            <Choice
              key={each.id}
              template={asTemplate(each)}
              current={each === mine}
              onChoose={() => setWanted(each.id)}
              onEdit={() => setEditing(each)}
              onDelete={() => {
                store.forget(each.id);
                heading.current?.focus();
              }}
            />
          ))}
          <li>
            <button
              type="button"
              onClick={() => setEditing("new")}
              className="flex h-full min-h-14 w-full items-center justify-center gap-2 rounded-xl border border-dashed border-line-strong px-3 text-sm text-quiet transition-colors hover:bg-hover hover:text-ink"
            >
              <Plus className="size-4" aria-hidden="true" />
              Write a template
            </button>
          </li>
        </ul>
      )}
      {editing && (
        <div className="mb-5">
          <ContentTemplateForm
            key={editing === "new" ? "new" : editing.id}
            template={editing === "new" ? undefined : editing}
            onClose={(kept) => {
              setEditing(undefined);
              if (kept) setWanted(kept.id);
              heading.current?.focus();
            }}
          />
        </div>
      )}
      {template && !editing && <ContentForm key={template.templateId + (mine?.text ?? "")} template={template} custom={mine?.text ?? ""} />}
      <ContentVariants />
    </>
  );
}

interface ChoiceProps {
  template: ContentTemplate;
  current: boolean;
  onChoose: () => void;
  onEdit?: () => void;
  onDelete?: () => void;
}

function Choice({ template: { title, description }, current, onChoose, onEdit, onDelete }: ChoiceProps) {
  const [deleting, setDeleting] = useState(false);
  return (
    <li className="relative">
      <button
        type="button"
        aria-pressed={current}
        onClick={onChoose}
        className={`block h-full w-full rounded-xl border border-line bg-raised py-2 pl-3 text-left transition-colors hover:border-line-strong aria-pressed:border-accent aria-pressed:ring-1 aria-pressed:ring-accent ${onEdit ? "pr-18" : "pr-3"}`}
      >
        <span className="block truncate text-sm font-medium">{title}</span>
        <span className="block truncate text-xs text-quiet" title={description}>
          {description}
        </span>
      </button>
      {onEdit && onDelete && (
        <span className="absolute top-1/2 right-2 flex -translate-y-1/2">
          <IconButton small label={`Edit ${title}`} onClick={onEdit}>
            <Pencil className="size-4" />
          </IconButton>
          <IconButton small label={`Delete ${title}`} onClick={() => setDeleting(true)}>
            <Trash2 className="size-4" />
          </IconButton>
        </span>
      )}
      {deleting && onDelete && (
        <Confirm title="Delete this template?" yes="Delete" onClose={() => setDeleting(false)} onYes={onDelete}>
          “{title}” will be gone from this browser.
        </Confirm>
      )}
    </li>
  );
}
