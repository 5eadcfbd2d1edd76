/** The view of the account: comes with the panel that shows it. */
import { parley } from "../rpc/parley";
import { withUser } from "./app";
import { AccountView } from "./accountView";

export const account = new AccountView(parley);

withUser(() => account.clear());
