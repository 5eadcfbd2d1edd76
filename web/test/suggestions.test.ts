import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { ChatService, type SuggestPromptsRequest } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { expect, test } from "vitest";
import { placeOf, Suggestions } from "../src/state/suggestions";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

/** Suggestions from a chat that names what it was asked, or refuses. */
function make(refuses = false) {
  const requests: SuggestPromptsRequest[] = [];
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(ChatService, {
            suggestPrompts: (request) => {
              requests.push(request);
              if (refuses) throw new ConnectError("no", Code.Internal);
              return { suggestions: [{ prompt: `${request.sessionId || "first"} ${requests.length}`, reason: "why" }] };
            },
          }),
        { transport: { interceptors } },
      ),
  });
  const suggestions = new Suggestions(parley);
  const shown = (sessionId: string | undefined, tip: string) =>
    suggestions.store.getState()[placeOf(sessionId, tip)]?.map(({ prompt }) => prompt);
  return { requests, suggestions, shown };
}

test("the end of a conversation is asked about once, and again when something was said", async () => {
  const { requests, suggestions, shown } = make();
  await Promise.all([suggestions.ask("ses_1", "msg_1"), suggestions.ask("ses_1", "msg_1")]);
  await suggestions.ask("ses_1", "msg_1");
  expect(requests.map(({ sessionId, limit }) => [sessionId, limit])).toEqual([["ses_1", 3]]);
  await suggestions.ask("ses_1", "msg_2");
  expect(shown("ses_1", "msg_1")).toEqual(["ses_1 1"]);
  expect(shown("ses_1", "msg_2")).toEqual(["ses_1 2"]);
});

test("a new conversation is asked about each time, and shows what there was meanwhile", async () => {
  const { suggestions, shown } = make();
  await suggestions.ask(undefined, "");
  const again = suggestions.ask(undefined, "");
  expect(shown(undefined, "")).toEqual(["first 1"]);
  await again;
  expect(shown(undefined, "")).toEqual(["first 2"]);
});

test("when nobody answers there are none", async () => {
  const { suggestions, shown } = make(true);
  await suggestions.ask("ses_1", "msg_1");
  expect(shown("ses_1", "msg_1")).toEqual([]);
});

test("what comes for a user who is gone is dropped", async () => {
  const { suggestions, shown } = make();
  const asked = suggestions.ask(undefined, "");
  suggestions.clear();
  const next = suggestions.ask(undefined, "");
  await asked;
  await next;
  expect(shown(undefined, "")).toEqual(["first 2"]);
});

test("not more than some are kept, and of the others the server is asked again", async () => {
  const { suggestions, shown, requests } = make();
  for (let place = 0; place < 30; place += 1) await suggestions.ask("ses_1", `msg_${place}`);
  expect(Object.keys(suggestions.store.getState())).toHaveLength(24);
  expect(shown("ses_1", "msg_29")).toBeDefined();
  await suggestions.ask("ses_1", "msg_0");
  expect(requests).toHaveLength(31);
  expect(shown("ses_1", "msg_0")).toBeDefined();
});
