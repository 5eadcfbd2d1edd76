/** Where menus and cards are put: into the dialog they belong to, because nothing outside an open dialog can be seen or reached. */
import { createContext, use } from "react";

export const Layer = createContext<HTMLElement | null>(null);

/** The element to put a menu or a card into; null for the page itself. */
export function useLayer(): HTMLElement | null {
  return use(Layer);
}
