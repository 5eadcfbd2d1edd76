/** The usage of the page: comes with the panel that shows it. */
import { parley } from "../rpc/parley";
import { live, withUser } from "./app";
import { Usage } from "./usage";

export const usage = new Usage(parley);

live.listen({ onFresh: () => usage.renew(), onEvent: (event) => usage.observe(event) });
withUser(() => usage.clear());
