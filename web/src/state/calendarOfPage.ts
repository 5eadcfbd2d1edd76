/** The calendar of the page: comes with the panel that shows it. */
import { parley } from "../rpc/parley";
import { live, withUser } from "./app";
import { Calendar } from "./calendar";

export const calendar = new Calendar(parley);

live.listen({ onFresh: () => calendar.renew(), onEvent: (event) => calendar.observe(event) });
withUser(() => calendar.clear());
