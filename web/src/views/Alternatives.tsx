/** ‹ 1/2 ›: goes through the messages with the same parent. */
import { ChevronLeft, ChevronRight } from "lucide-react";
import type { Message } from "@parley/protos/parley/chat/v1/message_pb";
import { IconButton } from "../parts/buttons";
import type { Step } from "../text/branches";

export function Alternatives({ step, onChoose }: { step: Step<Message>; onChoose: (message: Message) => void }) {
  const { alternatives, index } = step;
  if (alternatives.length < 2) return null;
  const go = (to: number) => {
    const message = alternatives[to];
    if (message) onChoose(message);
  };
  return (
    <div className="flex items-center" role="group" aria-label="Alternatives">
      <IconButton small label="Earlier version" disabled={index === 0} onClick={() => go(index - 1)}>
        <ChevronLeft className="size-4" />
      </IconButton>
      <span className="min-w-8 text-center text-xs text-quiet tabular-nums">
        {index + 1}/{alternatives.length}
      </span>
      <IconButton small label="Later version" disabled={index === alternatives.length - 1} onClick={() => go(index + 1)}>
        <ChevronRight className="size-4" />
      </IconButton>
    </div>
  );
}
