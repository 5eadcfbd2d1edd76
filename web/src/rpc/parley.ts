/** The one client of the page. */
import { browserTokenStore, ParleyClient } from "@parley/client";

// `vite --mode fake` draws the page against a stand-in that lives in the browser. The build leaves it out.
const transport = import.meta.env.MODE === "fake" ? (await import("../fake/backend")).fakeTransport() : undefined;

export const parley = new ParleyClient({
  baseUrl: location.origin,
  tokens: browserTokenStore(),
  ...(transport ? { transport } : {}),
});
