/** Says for a few seconds what went wrong outside the conversation. */
import { useEffect, useState } from "react";
import { useStore } from "zustand";
import { toast } from "../state/app";

const SHOWN_MS = 6_000;

export function Toast() {
  const { text, at } = useStore(toast);
  const [over, setOver] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => setOver(at), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [at]);
  return (
    <div role="alert" className="pointer-events-none fixed inset-x-0 top-4 z-50 flex justify-center px-4">
      {text && at !== over && (
        <button
          type="button"
          onClick={() => setOver(at)}
          className="pointer-events-auto animate-rise rounded-xl bg-ink px-4 py-2.5 text-sm text-ground shadow-float"
        >
          {text}
        </button>
      )}
    </div>
  );
}
