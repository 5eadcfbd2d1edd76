/**
 * Messages are a tree: an edited question or a second try is a sibling of the first. The page shows one branch of it.
 *
 * Works on ids and parents only, and on the messages that are loaded: where older ones are missing, the branch begins at the oldest there is.
 */

/** What is needed of a message. */
export interface TreeNode {
  readonly messageId: string;
  readonly parentMessageId: string;
}

/** One message of the branch, with its alternatives. */
export interface Step<T> {
  readonly message: T;
  /** The messages with the same parent, itself among them, oldest first. */
  readonly alternatives: readonly T[];
  /** Its place among them, from 0. */
  readonly index: number;
}

/**
 * The branch to show, oldest message first.
 *
 * @param messages the loaded messages, oldest first.
 * @param chosen for a parent, the child that the reader switched to. Everywhere else the branch leads to the newest message.
 */
export function branch<T extends TreeNode>(messages: readonly T[], chosen: ReadonlyMap<string, string> = new Map()): Step<T>[] {
  const byId = new Map(messages.map((message) => [message.messageId, message]));
  const children = new Map<string, T[]>();
  for (const message of messages) {
    const siblings = children.get(message.parentMessageId);
    if (siblings) siblings.push(message);
    else children.set(message.parentMessageId, [message]);
  }

  // From the newest message upwards: the first child to claim its parent is the one that leads to the newest descendant.
  const newest = new Map<string, T>();
  for (const message of messages.toReversed()) {
    for (let at: T | undefined = message; at && !newest.has(at.parentMessageId); at = byId.get(at.parentMessageId)) {
      newest.set(at.parentMessageId, at);
    }
  }

  const tip = messages.at(-1);
  if (!tip) return [];
  let root = tip;
  for (let parent = byId.get(root.parentMessageId); parent; parent = byId.get(root.parentMessageId)) root = parent;

  const steps: Step<T>[] = [];
  for (let parentId: string | undefined = root.parentMessageId; parentId !== undefined; ) {
    const alternatives: T[] = children.get(parentId) ?? [];
    const wanted = chosen.get(parentId);
    const message: T | undefined = alternatives.find(({ messageId }) => messageId === wanted) ?? newest.get(parentId);
    if (!message) break;
    steps.push({ message, alternatives, index: alternatives.indexOf(message) });
    parentId = message.messageId;
  }
  return steps;
}
