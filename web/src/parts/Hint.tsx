/** A few words that appear beside what the pointer or the focus is on. */
import { Tooltip } from "radix-ui";
import type { ReactElement } from "react";
import { useLayer } from "./layer";

export const HintProvider = Tooltip.Provider;

export function Hint({ text, children }: { text: string; children: ReactElement }) {
  const layer = useLayer();
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal container={layer}>
        <Tooltip.Content
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-64 rounded-md bg-ink px-2 py-1 text-xs text-ground shadow-low select-none [@media(hover:none)]:hidden data-[state=delayed-open]:animate-rise"
        >
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
