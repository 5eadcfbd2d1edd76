/** The batches of the page: come with the view that shows them. */
import { parley } from "../rpc/parley";
import { withUser } from "./app";
import { Batches } from "./batches";

export const batches = new Batches(parley);

withUser(() => batches.clear());
