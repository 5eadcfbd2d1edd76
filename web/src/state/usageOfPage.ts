/** The usage of the page: comes with the panel that shows it. */
import { parley } from "../rpc/parley";
import { live, projects, withUser } from "./app";
import { Usage } from "./usage";

export const usage = new Usage(parley);
usage.choose({ project: projects.current });
projects.store.subscribe(({ current }, before) => {
  if (current !== before.current) usage.choose({ project: current });
});

live.listen({ onFresh: () => usage.renew(), onEvent: (event) => usage.observe(event) });
withUser(() => {
  usage.clear();
  usage.choose({ project: projects.current });
});
