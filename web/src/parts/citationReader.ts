/** What happens when a citation in a text is pressed: what draws the text asks whoever shows it. */
import { createContext } from "react";

export interface CitationReader {
  /** The name of a source, for the button's label. */
  readonly title: (number: number) => string | undefined;
  readonly open: (number: number, at: HTMLElement) => void;
}

export const Citations = createContext<CitationReader | undefined>(undefined);
