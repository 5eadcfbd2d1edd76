/** The lead scoring of the page: comes with the view that shows it. */
import { parley } from "../rpc/parley";
import { withUser } from "./app";
import { Leads } from "./leads";

export const leads = new Leads(parley);

withUser(() => leads.clear());
