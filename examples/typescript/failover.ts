/** Asks a question of the primary Parley, or of the secondary while the primary does not answer, and says which one it was. */
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { ParleyClient, type ParleyOptions } from "@parley/client";

/** The flags that this program knows: another name is a type error. */
type Flag = "thorough-answers";

/** Two Parleys as one. `options` name both, and where their sign-ins are kept. */
export function connect(options: ParleyOptions, tell: (line: string) => void): ParleyClient<Flag> {
  // Documents are at the primary alone. A flag `failover.search` could say the same of search, for some users.
  const parley = new ParleyClient<Flag>({ ...options, failover: { features: { documents: "primary_only" }, ...options.failover } });
  parley.onFailover(({ feature, left, side, reason }) => tell(`${feature}: ${left} -> ${side} (${reason})`));
  return parley;
}

/** Asks, and writes the answer as it comes. */
export async function ask(parley: ParleyClient<Flag>, question: string, write: (text: string) => void, tell: (line: string) => void): Promise<void> {
  let answeredBy = "";
  const message = { message: question, ...(parley.isFeatureEnabled("thorough-answers") ? { route: Route.ENHANCED } : {}) };
  for await (const { event } of parley.streamReply(message, { onSide: (side) => (answeredBy = side) })) {
    if (event.case === "delta") write(event.value.text);
  }
  tell(`answered by the ${answeredBy}`);
  if (!parley.isAvailable("documents")) tell("documents cannot be reached now");
}
