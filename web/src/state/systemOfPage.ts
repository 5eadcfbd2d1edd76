/** The view of the system: comes with the panel that shows it. */
import { parley } from "../rpc/parley";
import { live, withUser } from "./app";
import { SystemView } from "./system";

export const system = new SystemView(parley);

live.listen({ onFresh: () => system.renew(), onEvent: (event) => system.observe(event) });
withUser(() => system.clear());
