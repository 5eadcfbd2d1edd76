/** The recommendations of the page: come with the view that shows them. */
import { parley } from "../rpc/parley";
import { withUser } from "./app";
import { Recommendations } from "./recommendations";

export const recommendations = new Recommendations(parley);

withUser(() => recommendations.clear());
