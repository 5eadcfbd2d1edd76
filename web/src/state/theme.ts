/** Light, dark, or as the system has it. `public/theme.js` reads what this writes, before the first paint. */
import { createStore } from "zustand/vanilla";

export type Theme = "system" | "light" | "dark";

const KEY = "parley.theme";

export const theme = createStore<{ theme: Theme }>(() => ({
  theme: (document.documentElement.dataset["theme"] as Theme | undefined) ?? "system",
}));

export function setTheme(next: Theme): void {
  const root = document.documentElement;
  if (next === "system") delete root.dataset["theme"];
  else root.dataset["theme"] = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage is blocked: the choice lasts until the page is closed.
  }
  theme.setState({ theme: next });
}
