/** A quiet line that tells something beside the answer. */
import { CircleAlert, Info, TriangleAlert, WifiOff } from "lucide-react";
import type { ReactNode } from "react";

const KINDS = {
  info: { Icon: Info, look: "bg-sunken text-quiet" },
  warn: { Icon: TriangleAlert, look: "bg-warn-soft text-ink [&>svg]:text-warn" },
  bad: { Icon: CircleAlert, look: "bg-bad-soft text-ink [&>svg]:text-bad" },
  lost: { Icon: WifiOff, look: "bg-warn-soft text-ink [&>svg]:text-warn" },
};

export function Notice({ kind = "info", children, action, urgent }: { kind?: keyof typeof KINDS; children: ReactNode; action?: ReactNode; urgent?: boolean }) {
  const { Icon, look } = KINDS[kind];
  return (
    <div role={urgent ? "alert" : "status"} className={`flex flex-wrap items-start gap-2.5 rounded-xl px-3 py-2 text-sm ${look}`}>
      <Icon className="mt-[3px] size-4 shrink-0" aria-hidden="true" />
      <div className="min-w-56 flex-1 self-center">{children}</div>
      {action}
    </div>
  );
}
