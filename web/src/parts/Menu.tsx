/** Menus. Not modal: the page behind stays as it is, and no style element has to be added that the content security policy would refuse. */
import { DropdownMenu } from "radix-ui";
import type { ComponentProps, ReactElement, ReactNode } from "react";
import { useLayer } from "./layer";

export function Menu({ trigger, children, ...content }: { trigger: ReactElement; children: ReactNode } & ComponentProps<typeof DropdownMenu.Content>) {
  const layer = useLayer();
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal container={layer}>
        <DropdownMenu.Content
          sideOffset={6}
          collisionPadding={8}
          {...content}
          className={`z-50 min-w-44 rounded-xl border border-line bg-raised p-1 shadow-float data-[state=open]:animate-rise ${content.className ?? ""}`}
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

const ITEM = "flex w-full cursor-pointer items-center gap-2.5 rounded-lg px-2.5 py-1.5 text-sm outline-none select-none data-[highlighted]:bg-hover";

export function MenuItem({ danger, className = "", ...props }: ComponentProps<typeof DropdownMenu.Item> & { danger?: boolean }) {
  return <DropdownMenu.Item {...props} className={`${ITEM} ${danger ? "text-bad" : ""} ${className}`} />;
}

/** A menu within a menu. */
export function MenuBranch({ name, children }: { name: ReactNode; children: ReactNode }) {
  const layer = useLayer();
  return (
    <DropdownMenu.Sub>
      <DropdownMenu.SubTrigger className={`${ITEM} data-[state=open]:bg-hover`}>{name}</DropdownMenu.SubTrigger>
      <DropdownMenu.Portal container={layer}>
        <DropdownMenu.SubContent
          sideOffset={4}
          collisionPadding={8}
          className="z-50 max-h-80 max-w-64 min-w-40 overflow-y-auto rounded-xl border border-line bg-raised p-1 shadow-float data-[state=open]:animate-rise"
        >
          {children}
        </DropdownMenu.SubContent>
      </DropdownMenu.Portal>
    </DropdownMenu.Sub>
  );
}

export const MenuChoices = DropdownMenu.RadioGroup;

export function MenuChoice({ className = "", ...props }: ComponentProps<typeof DropdownMenu.RadioItem>) {
  return <DropdownMenu.RadioItem {...props} className={`${ITEM} group ${className}`} />;
}

export function MenuLine() {
  return <DropdownMenu.Separator className="mx-1 my-1 h-px bg-line" />;
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <DropdownMenu.Label className="px-2.5 pt-1.5 pb-1 text-xs font-medium text-quiet">{children}</DropdownMenu.Label>;
}
