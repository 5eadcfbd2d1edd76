/** The colour of how something is. Always beside words that say the same. */
import type { Health } from "../text/status";

const LOOKS: Record<Health, string> = { good: "bg-good", warn: "bg-warn", bad: "bg-bad", unknown: "bg-line-strong" };

export function HealthDot({ health, className = "size-2" }: { health: Health; className?: string }) {
  return <span className={`inline-block shrink-0 rounded-full ${LOOKS[health]} ${className}`} aria-hidden="true" />;
}
