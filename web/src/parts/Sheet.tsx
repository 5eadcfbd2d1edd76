/**
 * What stands beside the conversation where there is room, and over it where there is not. Over it, it is the browser's own dialog: the
 * page behind is out of reach, Escape closes it, and the focus goes back.
 */
import { useEffect, useRef, useState, type ReactNode } from "react";

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
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (!isWide && element && !element.open) element.showModal();
  }, [isWide]);
  if (isWide) {
    return (
      <aside aria-label={label} className={`shrink-0 ${beside}`}>
        {children}
      </aside>
    );
  }
  return (
    <dialog
      ref={dialog}
      aria-label={label}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
      className={`h-dvh max-h-none max-w-none text-ink shadow-float outline-none open:animate-rise ${over}`}
    >
      {children}
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
