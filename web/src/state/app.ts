/** Everything that the page holds beside its components, plugged together once. */
import { Action, ResourceType } from "@parley/protos/parley/events/v1/event_pb";
import { createStore } from "zustand/vanilla";
import { parley } from "../rpc/parley";
import { Approvals } from "./approvals";
import { Conversations } from "./conversations";
import { Documents } from "./documents";
import { Live } from "./live";
import { Models } from "./models";
import { notifies } from "./notifications";
import { Projects } from "./projects";
import { browserStorage, Reminders } from "./reminders";
import { Tasks } from "./tasks";
import { closeDocument } from "./reading";
import { Sessions } from "./sessions";
import { Status } from "./status";
import { Suggestions } from "./suggestions";

export const sessions = new Sessions(parley);
export const status = new Status(parley);
export const suggestions = new Suggestions(parley);
export const documents = new Documents(parley);
export const tasks = new Tasks(parley);
export const reminders = new Reminders(parley);
export const projects = new Projects(
  parley,
  (projectId) => {
    sessions.narrow(projectId);
    tasks.narrow(projectId);
    documents.narrow(projectId);
  },
  browserStorage(),
);
export const models = new Models(parley, browserStorage());
export const approvals = new Approvals(parley);
export const live = new Live(parley);

/** Set by the page: goes to a path. */
export const navigation: { go: (path: string, options?: { replace?: boolean }) => void } = { go: () => undefined };

export const conversations = new Conversations(parley, {
  projectId: () => projects.current,
  model: () => models.chosen,
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

live.keepHidden = notifies;
live.listen({
  onFresh: (sequence) => {
    void sessions.refresh();
    conversations.renew();
    tasks.renew();
    void approvals.refresh();
    void projects.refresh();
    void reminders.lookBack(sequence);
  },
  onEvent: (event) => {
    if (event.resource.case === "message" && event.action !== Action.DELETED) conversations.observe(event.resource.value);
    if (event.resourceType === ResourceType.SESSION && event.action === Action.DELETED) leave(event.resourceId);
    sessions.observe(event);
    tasks.observe(event);
    approvals.observe(event);
    projects.observe(event);
    reminders.observe(event);
  },
});

/** A session was deleted, perhaps on another device: its conversation is gone from the screen too. */
function leave(sessionId: string): void {
  conversations.drop(sessionId);
  if (location.pathname !== `/c/${sessionId}`) return;
  navigation.go("/", { replace: true });
  if (!sessions.removing.has(sessionId)) tell("This conversation was deleted on another device.");
}

const forgetting = new Set<() => void>();

/** Has something forgotten when another user signs in: what comes with a part of the page that is loaded later. */
export function withUser(forget: () => void): void {
  forgetting.add(forget);
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
  tasks.clear();
  reminders.clear();
  approvals.clear();
  models.clear();
  for (const forget of forgetting) forget();
  projects.clear();
  closeDocument();
  live.clear();
});
