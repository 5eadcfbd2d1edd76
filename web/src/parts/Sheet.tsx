/**
 * What stands beside the conversation where there is room, and over it where there is not. Over it, it is the browser's own dialog: the
 * page behind is out of reach, Escape closes it, and the focus goes back.
 */
import { useEffect, useState, type ReactNode } from "react";
import { Layer } from "./layer";

interface SheetProps {
  /** Where there is room for it, as a media query. */
  wide: string;
  label: string;
  /** Classes for it beside the conversation. */
  beside: string;
  /** Classes for it over the conversation. */
  over: string;
  onClose: () => void;
  children: ReactNode;
}

export function Sheet({ wide, label, beside, over, onClose, children }: SheetProps) {
  const isWide = useMedia(wide);
  const [dialog, setDialog] = useState<HTMLDialogElement | null>(null);
  useEffect(() => {
    if (!dialog || dialog.open) return;
    dialog.showModal();
    // Not its first button, whose hint would open with it.
    dialog.focus();
  }, [dialog]);
  if (isWide) {
    return (
      <aside aria-label={label} className={`shrink-0 ${beside}`}>
        {children}
      </aside>
    );
  }
  return (
    <dialog
      ref={setDialog}
      tabIndex={-1}
      aria-label={label}
      onClose={onClose}
      onClick={(event) => event.target === dialog && onClose()}
      className={`h-dvh max-h-none max-w-none text-ink shadow-float outline-none open:animate-rise ${over}`}
    >
      <Layer value={dialog}>{children}</Layer>
    </dialog>
  );
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setMatches(list.matches);
    changed();
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, [query]);
  return matches;
}
