/** Says that the page is cut off, once that lasts, and what becomes of what is being done. */
import { useEffect, useState } from "react";
import { useStore } from "zustand";
import { Notice } from "../parts/Notice";
import { live } from "../state/app";

/** What is over in a blink need not be told, milliseconds. */
const LASTS_MS = 2_500;

export function LostConnection() {
  const lost = useStore(live.store, (state) => state.lost);
  const [told, setTold] = useState(false);
  useEffect(() => {
    if (!lost) return setTold(false);
    const timer = setTimeout(() => setTold(true), LASTS_MS);
    return () => clearTimeout(timer);
  }, [lost]);
  if (!lost || !told) return null;
  return (
    <div className="mx-auto w-full max-w-3xl animate-rise px-4 pb-2 sm:px-6">
      <Notice kind="lost">
        {navigator.onLine ? "Parley can't be reached right now." : "You are offline."} What you write stays, and answers go on as soon as the connection is back.
      </Notice>
    </div>
  );
}
