/** An item that is recommended, with its reason, and what the person can say of it. */
import { ChevronRight, ThumbsDown, ThumbsUp, Trash2 } from "lucide-react";
import { useState } from "react";
import { useStore } from "zustand";
import { InteractionKind, type CatalogItem, type Recommendation, type SimilarItem } from "@parley/protos/parley/retrieval/v1/recommendation_service_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import { recommendations as store } from "../state/recommendationsOfPage";
import { DONE } from "../text/catalog";

export function RecommendationCard({ recommendation: { score, reason }, item }: { recommendation: Recommendation; item: CatalogItem }) {
  const done = useStore(store.store, (state) => state.done.get(item.itemId));
  const [open, setOpen] = useState(false);
  const [similar, setSimilar] = useState<readonly SimilarItem[]>();
  const [deleting, setDeleting] = useState(false);
  const record = (kind: InteractionKind) => {
    store.record(item.itemId, kind).catch((thrown: unknown) => tell(wordsFor(thrown)));
  };
  const toggle = () => {
    setOpen(!open);
    if (open) return;
    // To open is the least that somebody can say: it takes nothing back.
    if (done === undefined) record(InteractionKind.VIEW);
    store
      .similar(item.itemId)
      .then(setSimilar)
      .catch((thrown: unknown) => tell(wordsFor(thrown)));
  };
  return (
    <li className="relative flex flex-col rounded-2xl border border-line bg-raised p-4">
      <div className="flex items-start gap-2">
        <div className="min-w-0 flex-1">
          <h2 className="text-sm font-medium break-words">{item.title}</h2>
          <p className="text-xs text-quiet">{[item.category, done !== undefined && DONE[done]].filter(Boolean).join(" · ")}</p>
        </div>
        {score > 0 && (
          <span className="shrink-0 text-xs text-quiet tabular-nums" title="How well it fits, comparable within this list">
            <span className="sr-only">Fits </span>
            {score.toFixed(2)}
          </span>
        )}
      </div>
      <p className="mt-2 flex-1 text-sm text-pretty">
        <span className="rounded-md bg-accent-soft box-decoration-clone px-1.5 py-0.5 text-accent">{reason}</span>
      </p>
      <div className="mt-3 flex flex-wrap items-center gap-2">
        <Button aria-pressed={done === InteractionKind.LIKE} className={`min-h-8! px-2.5! ${PRESSED}`} onClick={() => record(InteractionKind.LIKE)}>
          <ThumbsUp className="size-4" aria-hidden="true" />
          Like<span className="sr-only"> {item.title}</span>
        </Button>
        <Button aria-pressed={done === InteractionKind.DISLIKE} className={`min-h-8! px-2.5! ${PRESSED}`} onClick={() => record(InteractionKind.DISLIKE)}>
          <ThumbsDown className="size-4" aria-hidden="true" />
          Not for me<span className="sr-only">: {item.title}</span>
        </Button>
        <button type="button" aria-expanded={open} onClick={toggle} className="ml-auto inline-flex min-h-8 items-center gap-1 rounded-lg px-1.5 text-sm text-quiet hover:text-ink">
          <ChevronRight className={`size-4 transition-transform ${open ? "rotate-90" : ""}`} aria-hidden="true" />
          Open<span className="sr-only"> {item.title}</span>
        </button>
      </div>
      {open && (
        <div className="mt-3 border-t border-line pt-3 text-sm">
          <p className="whitespace-pre-wrap break-words">{item.text || "There is no description."}</p>
          {similar && similar.length > 0 && (
            <>
              <h3 className="mt-3 mb-1 text-xs font-medium text-quiet">Most like it</h3>
              <ul aria-label={`Like ${item.title}`}>
                {similar.map(
                  (each) =>
                    each.item && (
                      <li key={each.item.itemId} className="flex gap-2">
                        <span className="min-w-0 flex-1 truncate">{each.item.title}</span>
                        <span className="text-xs text-quiet tabular-nums">{each.score.toFixed(2)}</span>
                      </li>
                    ),
                )}
              </ul>
            </>
          )}
          <div className="mt-2 flex items-center gap-2">
            <span className="min-w-0 flex-1 truncate font-mono text-xs text-quiet">{item.itemId}</span>
            <IconButton small label={`Delete ${item.title}`} onClick={() => setDeleting(true)}>
              <Trash2 className="size-4" />
            </IconButton>
          </div>
        </div>
      )}
      {deleting && (
        <Confirm
          title="Delete this item?"
          yes="Delete"
          onClose={() => setDeleting(false)}
          onYes={() => {
            store.remove(item.itemId).catch((thrown: unknown) => tell(wordsFor(thrown)));
          }}
        >
          “{item.title}” will be gone from the catalog, with all that was done with it.
        </Confirm>
      )}
    </li>
  );
}

const PRESSED = "aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent";
