/** One source of an answer: where it is from, the passage, and the way to the document. */
import { BadgeCheck, FileText, TriangleAlert, X } from "lucide-react";
import { Popover } from "radix-ui";
import { useRef } from "react";
import type { Citation } from "@parley/protos/parley/chat/v1/message_pb";
import { Button, IconButton } from "../parts/buttons";
import { MarkdownLater } from "../parts/MarkdownLater";
import { openDocument } from "../state/reading";
import { headingWithin } from "../text/citations";
import { useLayer } from "../parts/layer";

/** What the server found when it held the answer's quotes against the passage. */
function Quotes({ citation: { quotes } }: { citation: Citation }) {
  if (quotes.length === 0) return null;
  const wrong = quotes.filter(({ verified }) => !verified).length;
  return wrong === 0 ? (
    <p className="flex items-center gap-2 border-t border-line px-4 py-2 text-xs text-quiet">
      <BadgeCheck className="size-4 shrink-0 text-accent" aria-hidden="true" />
      The answer quotes this passage word for word.
    </p>
  ) : (
    <p className="flex items-center gap-2 border-t border-line px-4 py-2 text-xs">
      <TriangleAlert className="size-4 shrink-0 text-warn" aria-hidden="true" />
      {wrong === 1 ? "One quote of the answer is not in this passage." : `${wrong} quotes of the answer are not in this passage.`}
    </p>
  );
}

interface SourceCardProps {
  citation: Citation;
  /** What was pressed: the card points at it, and the focus goes back to it. */
  at: HTMLElement;
  onClose: () => void;
}

export function SourceCard({ citation, at, onClose }: SourceCardProps) {
  const layer = useLayer();
  const place = headingWithin(citation.documentTitle, citation.heading);
  const anchor = useRef(at);
  anchor.current = at;
  const opening = useRef(false);
  return (
    <Popover.Root open onOpenChange={(open) => !open && onClose()}>
      <Popover.Anchor virtualRef={anchor} />
      <Popover.Portal container={layer}>
        <Popover.Content
          sideOffset={8}
          collisionPadding={12}
          aria-label={`Source ${citation.number}`}
          onOpenAutoFocus={(event) => {
            // The card itself, not its first button: the passage is what is read first.
            event.preventDefault();
            (event.currentTarget as HTMLElement).focus();
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            if (!opening.current) at.focus({ preventScroll: true });
          }}
          className="z-40 flex max-h-[min(26rem,var(--radix-popover-content-available-height))] w-[min(26rem,calc(100vw-1.5rem))] flex-col rounded-2xl border border-line bg-raised shadow-float outline-none data-[state=open]:animate-rise"
        >
          <div className="flex items-start gap-3 border-b border-line py-3 pr-2 pl-4">
            <span className="mt-0.5 grid size-6 shrink-0 place-items-center rounded-md bg-accent-soft text-xs font-semibold text-accent tabular-nums">
              {citation.number}
            </span>
            <div className="min-w-0 flex-1">
              <div className="font-medium text-pretty">{citation.documentTitle}</div>
              {place && <div className="text-xs text-pretty text-quiet">{place}</div>}
            </div>
            <Popover.Close asChild>
              <IconButton small label="Close">
                <X className="size-4" />
              </IconButton>
            </Popover.Close>
          </div>
          <div className="min-h-0 flex-1 overflow-y-auto px-4 py-3 [&_.markdown]:text-[0.875rem]" tabIndex={0} role="group" aria-label="Passage">
            <MarkdownLater text={citation.text} />
          </div>
          <Quotes citation={citation} />
          {/* What is no document has no page of its own to open. */}
          {!citation.itemType && (
            <div className="border-t border-line p-2">
              <Button
                className="w-full border-transparent"
                onClick={() => {
                  opening.current = true;
                  onClose();
                  openDocument(citation, at);
                }}
              >
                <FileText className="size-4" />
                Open document
              </Button>
            </div>
          )}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
