/** Everything that the page holds beside its components, plugged together once. */
import { createStore } from "zustand/vanilla";
import { parley } from "../rpc/parley";
import { Conversations } from "./conversations";
import { Documents } from "./documents";
import { closeDocument } from "./reading";
import { Sessions } from "./sessions";
import { Status } from "./status";
import { Suggestions } from "./suggestions";

export const sessions = new Sessions(parley);
export const status = new Status(parley);
export const suggestions = new Suggestions(parley);
export const documents = new Documents(parley);

/** Set by the page: goes to a path. */
export const navigation: { go: (path: string, options?: { replace?: boolean }) => void } = { go: () => undefined };

export const conversations = new Conversations(parley, {
  onBorn: (_conversation, sessionId) => {
    // Only a reader who still looks at the new conversation is taken along.
    if (location.pathname === "/") navigation.go(`/c/${sessionId}`, { replace: true });
  },
  onChanged: () => void sessions.refresh(),
});

/** A short message at the foot of the page, for what went wrong outside the conversation. */
export const toast = createStore<{ text: string; at: number }>(() => ({ text: "", at: 0 }));

export function tell(text: string): void {
  toast.setState({ text, at: Date.now() });
}

// What belongs to a user goes with the user, whichever tab the sign-out happened in.
let owner = parley.user?.userId;
parley.tokens.watch(() => {
  const user = parley.user?.userId;
  if (user === owner) return;
  owner = user;
  conversations.clear();
  sessions.clear();
  suggestions.clear();
  documents.clear();
  closeDocument();
});
