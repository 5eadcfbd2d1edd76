/** The view of the system: what failed lately, the flags, the self-test, and how it is all in words. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient, ParleyError } from "@parley/client";
import { ProviderState } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { MessageState, Role } from "@parley/protos/parley/chat/v1/message_pb";
import { EventSchema } from "@parley/protos/parley/events/v1/event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { FlagService } from "@parley/protos/parley/flags/v1/flag_service_pb";
import { GetStatusResponseSchema, ServingState, SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import { expect, test, vi } from "vitest";
import { Status } from "../src/state/status";
import { SystemView } from "../src/state/system";
import { overall } from "../src/text/status";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };
const { SERVING, UNREACHABLE, NOT_SERVING } = ServingState;

/** What of a browser is needed: a page that is seen, and that others can tell it is not. */
const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
const frame = new EventTarget();

// Until the end of the file: what a test leaves behind ends a moment after it.
vi.stubGlobal("document", page);
vi.stubGlobal("addEventListener", frame.addEventListener.bind(frame));
vi.stubGlobal("removeEventListener", frame.removeEventListener.bind(frame));

/** Waits until it is so. */
const soon = (check: () => void) => vi.waitFor(check, { timeout: 30_000 });
vi.setConfig({ testTimeout: 60_000 });

const answer = (messageId: string, state: MessageState, sequence: bigint) => ({
  sequence,
  resourceId: messageId,
  resource: { case: "message" as const, value: { messageId, role: Role.ASSISTANT, state } },
});

interface Fake {
  events?: ReturnType<typeof answer>[];
  selfTest?: () => Promise<{ passed: boolean }>;
  /** What each connection that watches the status is told before it is cut. */
  told?: ServingState[];
}

function make({ events = [], selfTest, told = [] }: Fake = {}) {
  const asked = { tests: 0, watches: 0, ended: 0 };
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) => {
          service(EventService, {
            listEvents: ({ afterSequence, pageSize }) => {
              const rest = events.filter(({ sequence }) => sequence > afterSequence).slice(0, pageSize);
              return { events: rest, nextAfterSequence: rest.at(-1)?.sequence ?? afterSequence, newestSequence: events.at(-1)?.sequence ?? 0n };
            },
          });
          service(FlagService, {
            async *watchFlags(_, { signal }) {
              yield { flags: [{ name: "new-editor", enabled: true }] };
              await new Promise((resolve) => signal.addEventListener("abort", resolve));
            },
          });
          service(SystemService, {
            runSelfTest: () => {
              asked.tests += 1;
              return selfTest!();
            },
            async *watchStatus(_, { signal }) {
              asked.watches += 1;
              const state = told[asked.watches - 1];
              if (state === undefined) throw new ConnectError("away", Code.Unavailable);
              yield { status: { state } };
              if (asked.watches < told.length) return;
              await new Promise((resolve) => signal.addEventListener("abort", resolve));
              asked.ended += 1;
            },
          });
        },
        { transport: { interceptors } },
      ),
  });
  return { parley, view: new SystemView(parley), asked };
}

test("answers that failed are found among the last events, the newest first, and those that come meanwhile are added", async () => {
  const old = Array.from({ length: 600 }, (_, index) => answer(`old_${index}`, index < 100 ? MessageState.FAILED : MessageState.COMPLETED, BigInt(index + 1)));
  const { view } = make({ events: [...old, answer("one", MessageState.FAILED, 601n), answer("two", MessageState.FAILED, 602n)] });
  const leave = view.watch();
  const ids = () => view.store.getState().failures?.map(({ message }) => message.messageId);
  await soon(() => expect(ids()).toEqual(["two", "one"]));
  view.observe(create(EventSchema, answer("three", MessageState.FAILED, 603n)));
  view.observe(create(EventSchema, answer("three", MessageState.FAILED, 604n)));
  view.observe(create(EventSchema, answer("fine", MessageState.COMPLETED, 605n)));
  expect(ids()).toEqual(["three", "two", "one"]);
  await soon(() => expect(view.store.getState().flags?.map(({ name }) => name)).toEqual(["new-editor"]));
  leave();
});

test("one self-test runs at a time, and one that could not be run says so", async () => {
  let end: (result: { passed: boolean }) => void = () => undefined;
  const { view, asked } = make({ selfTest: () => (asked.tests === 1 ? new Promise((resolve) => (end = resolve)) : Promise.reject(new ConnectError("no", Code.ResourceExhausted))) });
  const first = view.runSelfTest();
  void view.runSelfTest();
  await soon(() => expect(asked.tests).toBe(1));
  expect(view.store.getState().selfTest.running).toBe(true);
  end({ passed: true });
  await first;
  expect(view.store.getState().selfTest).toMatchObject({ running: false, result: { passed: true } });
  await view.runSelfTest();
  expect(view.store.getState().selfTest).toMatchObject({ running: false, result: undefined, error: { code: Code.ResourceExhausted } });
});

test("what another user tested is not shown to the next", async () => {
  let end: (result: { passed: boolean }) => void = () => undefined;
  const { view, asked } = make({ selfTest: () => new Promise((resolve) => (end = resolve)) });
  const running = view.runSelfTest();
  await soon(() => expect(asked.tests).toBe(1));
  view.clear();
  end({ passed: true });
  await running;
  expect(view.store.getState().selfTest).toEqual({ running: false, result: undefined, error: undefined });
});

test("the status is followed over a new connection when one is cut, and not while nobody sees the page", async () => {
  const { parley, asked } = make({ told: [UNREACHABLE, SERVING, NOT_SERVING] });
  const status = new Status(parley);
  const leave = status.follow();
  const state = () => status.store.getState().status?.state;
  await soon(() => expect(asked.watches).toBe(2));
  await soon(() => expect(state()).toBe(NOT_SERVING));
  expect(asked.ended).toBe(0);
  page.visibilityState = "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
  await soon(() => expect(asked.ended).toBe(1));
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  await soon(() => expect(status.store.getState().error?.code).toBe(Code.Unavailable));
  // It stays as it was last known, beside the error.
  expect(state()).toBe(NOT_SERVING);
  leave();
});

test("one line says how all of it is, the worst first", () => {
  const services = (...states: ServingState[]) => states.map((state) => ({ state }));
  const status = (state: ServingState, retrieval = SERVING, provider = ProviderState.HEALTHY) =>
    create(GetStatusResponseSchema, { state, services: services(SERVING, state, retrieval), providers: [{ state: provider }] });
  const lost = new ParleyError({ message: "", code: Code.Unavailable, connectionLost: true });
  expect(overall(status(SERVING), lost).words).toBe("Parley can't be reached");
  expect(overall(undefined, undefined).health).toBe("unknown");
  expect(overall(status(NOT_SERVING), undefined).words).toBe("Parley can't answer right now");
  expect(overall(status(SERVING, UNREACHABLE, ProviderState.OPEN), undefined).words).toBe("Answers come without the knowledge base");
  expect(overall(status(SERVING, SERVING, ProviderState.OPEN), undefined).health).toBe("warn");
  expect(overall(status(SERVING, SERVING, ProviderState.FAILING), undefined)).toEqual({ words: "Everything works", health: "good" });
});
