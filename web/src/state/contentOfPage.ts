/** The content of the page: comes with the view that shows it. */
import { parley } from "../rpc/parley";
import { withUser } from "./app";
import { Content } from "./content";
import { browserStorage } from "./reminders";

export const content = new Content(parley, browserStorage());

withUser(() => content.clear());
