/** The head of a panel: what it is, and what it is for. */
import type { ReactNode, Ref } from "react";

export function PanelTitle({ title, children, beside, ref }: { title: string; children?: ReactNode; beside?: ReactNode; ref?: Ref<HTMLHeadingElement> }) {
  return (
    <div className="mb-6 flex flex-wrap items-center gap-3">
      <h1 ref={ref} tabIndex={-1} className="min-w-40 flex-1 font-serif text-[1.9rem] leading-tight tracking-[-0.015em] outline-none">
        {title}
      </h1>
      {beside}
      {children && <p className="w-full text-sm text-pretty text-quiet">{children}</p>}
    </div>
  );
}
