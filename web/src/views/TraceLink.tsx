/** The way to a trace in the operator's trace backend, where there is one. */
import { ExternalLink } from "lucide-react";
import { useStore } from "zustand";
import { status } from "../state/app";
import { traceUrl } from "../text/status";

export function TraceLink({ traceId, className = "" }: { traceId: string; className?: string }) {
  const link = useStore(status.store, (state) => traceUrl(state.status?.traceUrlTemplate, traceId));
  if (!link) return null;
  return (
    <a href={link} target="_blank" rel="noopener noreferrer" className={`inline-flex items-center gap-1.5 text-sm font-medium text-accent hover:underline ${className}`}>
      Open in the trace backend
      <ExternalLink className="size-3.5" aria-hidden="true" />
    </a>
  );
}
