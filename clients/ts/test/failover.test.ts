import { Code, ConnectError, createRouterTransport, type ConnectRouter } from "@connectrpc/connect";
import { ChatService } from "@parley/protos/parley/chat/v1/chat_service_pb";
import type { TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { FlagService } from "@parley/protos/parley/flags/v1/flag_service_pb";
import { ServingState, SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import { afterEach, expect, test, vi } from "vitest";
import { ErrorReason, memoryTokenStore, ParleyClient, watchEvents, type FailoverEvent, type FailoverOptions, type ParleyOptions } from "../src/index.js";
import { ask, connect } from "../../../examples/typescript/failover.js";
import { all, completed, cut, delta, parleyError, sequences, signedIn, started, TURN } from "./fakes.js";

/** What nobody listening looks like in Node. */
function refused(): ConnectError {
  const cause = Object.assign(new TypeError("fetch failed"), { cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }) });
  return new ConnectError("fetch failed", Code.Unavailable, undefined, undefined, cause);
}

function signal(): { sent: Promise<void>; send: () => void } {
  let send: () => void = () => undefined;
  const sent = new Promise<void>((resolve) => (send = resolve));
  return { sent, send };
}

type Step = TurnEvent | Error | "silence";
type Flags = Readonly<Record<string, string | false>>;

/** One Parley in this process, which a test can switch off. */
class Scripted {
  readonly calls: string[] = [];
  readonly tokens: (string | null)[] = [];
  readonly turns: Step[][] = [];
  /** What every call fails with; undefined when it is on. */
  down: ConnectError | undefined;
  /** What calls of chat with one answer fail with. */
  chat: ConnectError | undefined;
  retrieval = ServingState.SERVING;
  #flags: Flags = {};
  #changed = signal();
  readonly #off = new Set<(reason: Error) => void>();

  constructor(readonly name: string) {}

  setFlags(flags: Flags): void {
    this.#flags = flags;
    const changed = this.#changed;
    this.#changed = signal();
    changed.send();
  }

  off(error: ConnectError = refused()): void {
    this.down = error;
    for (const end of [...this.#off]) end(cut());
  }

  on(): void {
    this.down = undefined;
  }

  readonly transport: NonNullable<ParleyOptions["transport"]> = (interceptors) => {
    const wire = (next: (request: never) => Promise<unknown>) => async (request: never) => {
      if (this.down) throw this.down;
      return next(request);
    };
    return createRouterTransport((router) => this.#routes(router), { transport: { interceptors: [...interceptors, wire as never] } });
  };

  #routes({ service }: ConnectRouter): void {
    service(ChatService, {
      getSession: (_, { requestHeader }) => {
        this.calls.push("getSession");
        this.tokens.push(requestHeader.get("authorization"));
        if (this.chat) throw this.chat;
        return { session: { title: this.name } };
      },
      createSession: () => {
        this.calls.push("createSession");
        if (this.chat) throw this.chat;
        return { session: { title: this.name } };
      },
      sendMessage: ({ clientMessageId }) => {
        this.calls.push(`sendMessage ${clientMessageId}`);
        if (this.chat) throw this.chat;
        return {};
      },
      streamReply: ({ clientMessageId }) => this.#play(`streamReply ${clientMessageId}`),
      resumeReply: ({ afterSequence }) => this.#play(`resumeReply ${afterSequence}`),
    });
    service(SystemService, {
      getHealth: () => ({ state: ServingState.SERVING }),
      getStatus: () => ({
        state: ServingState.SERVING,
        services: [
          { service: "chat", state: ServingState.SERVING },
          { service: "inference", state: ServingState.SERVING },
          { service: "retrieval", state: this.retrieval },
        ],
      }),
    });
    const changes = () => this.#changed.sent;
    const flags = () => ({
      flags: Object.entries(this.#flags).map(([name, value]) => ({ name, enabled: value !== false, value: value || "" })),
    });
    const off = () => this.#untilOff();
    service(FlagService, {
      async *watchFlags() {
        for (;;) {
          const changed = changes();
          yield flags();
          await Promise.race([changed, off()]);
        }
      },
    });
    const note = (call: string) => this.calls.push(call);
    service(EventService, {
      async *watchEvents({ afterSequence }) {
        note(`watchEvents ${afterSequence}`);
        yield { sequence: 7n };
        await off();
      },
    });
  }

  async *#play(call: string) {
    this.calls.push(call);
    for (const step of this.turns.shift() ?? [new ConnectError("The script is over.", Code.InvalidArgument)]) {
      if (step instanceof Error) throw step;
      if (step === "silence") await this.#untilOff();
      else yield { event: step };
    }
  }

  #untilOff(): Promise<never> {
    return new Promise((_, reject) => (this.down ? reject(cut()) : this.#off.add(reject)));
  }
}

// As long as the longest wait in it, and not as long as a calm machine takes.
vi.setConfig({ testTimeout: 60_000 });

const clients: ParleyClient[] = [];
afterEach(() => clients.splice(0).forEach((parley) => parley.close()));

function two(failover: FailoverOptions = {}, { sharedTokens = false } = {}) {
  const primary = new Scripted("primary");
  const secondary = new Scripted("secondary");
  const parley = new ParleyClient({
    baseUrl: "http://primary.test",
    tokens: memoryTokenStore(signedIn("first")),
    transport: primary.transport,
    secondary: {
      baseUrl: "http://secondary.test",
      transport: secondary.transport,
      ...(sharedTokens ? {} : { tokens: memoryTokenStore(signedIn("second")) }),
    },
    failover: { stayMs: 0, probeMs: 5, ...failover },
  });
  clients.push(parley);
  const told: string[] = [];
  parley.onFailover(({ feature, side, reason }: FailoverEvent) => feature === "chat" && told.push(`${side} ${reason}`));
  const who = async () => (await parley.chat.getSession({ sessionId: "ses_1" })).session?.title;
  return { primary, secondary, parley, told, who };
}

const PATIENTLY = { timeout: 30_000, interval: 5 };

test("a client goes to the secondary when nobody listens at the primary, and back when somebody does", async () => {
  const { primary, secondary, parley, told, who } = two();
  expect(await who()).toBe("primary");
  primary.off();
  expect(await who()).toBe("secondary");
  expect(told).toEqual(["secondary failed"]);
  expect(parley.sideOf("documents")).toBe("secondary");
  primary.on();
  await vi.waitFor(() => expect(told).toEqual(["secondary failed", "primary recovered"]), PATIENTLY);
  expect(await who()).toBe("primary");
  expect(new Set(primary.tokens)).toEqual(new Set(["Bearer first"]));
  expect(secondary.tokens).toEqual(["Bearer second"]);
});

test("a read whose connection is lost so often is answered by the other side in the same call", async () => {
  const { primary, told, who } = two({ failures: 3 });
  primary.chat = cut();
  expect(await who()).toBe("secondary");
  expect(primary.calls).toEqual(["getSession", "getSession", "getSession"]);
  expect(told[0]).toBe("secondary failed");
});

test("an answer that is an error moves nothing", async () => {
  const { primary, told, parley, who } = two({ failures: 1 });
  for (const code of [Code.InvalidArgument, Code.ResourceExhausted, Code.NotFound]) {
    primary.chat = parleyError(code, "ERROR_REASON_INVALID_FIELD");
    await expect(who()).rejects.toMatchObject({ code });
  }
  primary.chat = parleyError(Code.Unavailable, "ERROR_REASON_PROVIDER_UNAVAILABLE");
  await expect(who()).rejects.toMatchObject({ reason: ErrorReason.PROVIDER_UNAVAILABLE });
  expect(parley.sideOf("chat")).toBe("primary");
  expect(told).toEqual([]);
});

test("a write that may have arrived is not made again, one that never left is", async () => {
  const { primary, secondary, parley, told } = two({ failures: 1 });
  primary.chat = cut();
  await expect(parley.chat.createSession({})).rejects.toMatchObject({ connectionLost: true });
  expect(told[0]).toBe("secondary failed");
  expect(secondary.calls).toEqual([]);
  const other = two();
  other.primary.off();
  expect((await other.parley.chat.createSession({})).session?.title).toBe("secondary");
});

test("a message with a name goes on to the same data, and only there", async () => {
  for (const sharedData of [false, true]) {
    const { primary, secondary, parley } = two({ failures: 1, sharedData });
    primary.chat = cut();
    const sent = parley.chat.sendMessage({ message: "hi", clientMessageId: "mine" });
    if (sharedData) await sent;
    else await expect(sent).rejects.toMatchObject({ connectionLost: true });
    expect(secondary.calls).toEqual(sharedData ? ["sendMessage mine"] : []);
  }
});

test("a message that never left is sent at the other side", async () => {
  const { primary, secondary, parley } = two();
  const sides: string[] = [];
  primary.off();
  secondary.turns.push([started(), completed(2)]);
  const events = await all(parley.streamReply({ message: "hi", clientMessageId: "mine" }, { onSide: (side) => sides.push(side) }));
  expect(sequences(events)).toEqual([1, 2]);
  expect(secondary.calls).toEqual(["streamReply mine"]);
  expect(sides.at(-1)).toBe("secondary");
});

test("a turn that has begun stays where it is, and the next one begins at the other side", async () => {
  const { primary, secondary, parley } = two();
  primary.turns.push([started(), delta(2, "a"), "silence"], [delta(3, "b"), completed(4)]);
  secondary.turns.push([started(), completed(2)]);
  const turn = parley.streamReply({ message: "hi" });
  await turn.next();
  await turn.next();
  const third = turn.next();
  primary.off();
  expect(sequences(await all(parley.streamReply({ message: "and now?" })))).toEqual([1, 2]);
  primary.on();
  expect((await third).value?.sequence).toBe(3);
  expect((await turn.next()).value?.sequence).toBe(4);
  expect(primary.calls.at(-1)).toBe("resumeReply 2");
  expect(secondary.calls.filter((call) => call.startsWith("resume"))).toEqual([]);
});

test("a turn of both sides is resumed at the other", async () => {
  const { primary, secondary, parley } = two({ sharedData: true }, { sharedTokens: true });
  primary.turns.push([started(), delta(2, "a"), "silence"]);
  secondary.turns.push([delta(3, "b"), completed(4)]);
  const turn = parley.streamReply({ message: "hi" });
  await turn.next();
  await turn.next();
  primary.off();
  expect(sequences(await all(turn))).toEqual([3, 4]);
  expect(secondary.calls).toEqual(["resumeReply 2"]);
});

test("a turn is resumed at the side that has it", async () => {
  const { secondary, parley } = two();
  secondary.turns.push([delta(8, "a"), completed(9)]);
  expect(sequences(await all(parley.resumeReply(TURN, 7, { side: "secondary" })))).toEqual([8, 9]);
});

test("features are placed by configuration, and one of one side only never leaves it", async () => {
  const { secondary, parley, who } = two({ features: { chat: "secondary_only" } });
  expect(await who()).toBe("secondary");
  expect(parley.sideOf("documents")).toBe("primary");
  secondary.off();
  await expect(who()).rejects.toMatchObject({ connectionLost: true });
  expect(parley.isAvailable("chat")).toBe(false);
  secondary.on();
  await vi.waitFor(() => expect(parley.isAvailable("chat")).toBe(true), PATIENTLY);
});

test("a flag says live which side serves a feature", async () => {
  const { primary, told, who } = two();
  expect(await who()).toBe("primary");
  primary.setFlags({ "failover.chat": "secondary" });
  await vi.waitFor(() => expect(told).toEqual(["secondary placed"]), PATIENTLY);
  expect(await who()).toBe("secondary");
  primary.setFlags({ "failover.chat": false });
  await vi.waitFor(() => expect(told).toEqual(["secondary placed", "primary placed"]), PATIENTLY);
});

test("a flag is the caller's fallback until it is known, and then what it is, through any outage", async () => {
  const scripted = new Scripted("primary");
  scripted.setFlags({ "new-editor": "blue" });
  const parley = new ParleyClient<"new-editor" | "unknown">({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(signedIn()),
    transport: scripted.transport,
  });
  clients.push(parley);
  // @ts-expect-error: no such flag is known to this program.
  parley.isFeatureEnabled("new-editr");
  expect(parley.isFeatureEnabled("new-editor")).toBe(false);
  expect(parley.isFeatureEnabled("new-editor", true)).toBe(true);
  await vi.waitFor(() => expect(parley.isFeatureEnabled("new-editor")).toBe(true), PATIENTLY);
  expect(parley.featureValue("new-editor")).toBe("blue");
  expect(parley.isFeatureEnabled("unknown", true)).toBe(true);
  let heard = 0;
  const end = parley.watchFlags(() => (heard += 1));
  scripted.setFlags({ "new-editor": false });
  await vi.waitFor(() => expect(parley.isFeatureEnabled("new-editor", true)).toBe(false), PATIENTLY);
  expect(heard).toBeGreaterThan(0);
  end();
  scripted.off();
  expect(parley.isFeatureEnabled("new-editor", true)).toBe(false);
  parley.tokens.signedOut();
  expect(parley.isFeatureEnabled("new-editor", true)).toBe(true);
});

test("a feature is available when the services that it needs take calls", async () => {
  const scripted = new Scripted("primary");
  scripted.retrieval = ServingState.UNREACHABLE;
  const parley = new ParleyClient({ baseUrl: "http://parley.test", tokens: memoryTokenStore(signedIn()), transport: scripted.transport });
  clients.push(parley);
  expect(parley.isAvailable("documents")).toBe(true);
  await vi.waitFor(() => expect(parley.isAvailable("documents")).toBe(false), PATIENTLY);
  expect(parley.isAvailable("chat")).toBe(true);
  scripted.off();
  await expect(parley.chat.getSession({})).rejects.toMatchObject({ refused: true });
  expect(parley.isAvailable("chat")).toBe(false);
  scripted.on();
  await parley.chat.getSession({});
  expect(parley.isAvailable("chat")).toBe(true);
});

test("the place of a watcher means something at its own side: it goes on there", async () => {
  const { primary, secondary, parley } = two();
  const stop = new AbortController();
  const watched = watchEvents(parley, -1, { signal: stop.signal });
  expect((await watched.next()).value?.sequence).toBe(7);
  const next = watched.next();
  primary.off();
  await vi.waitFor(() => expect(parley.sideOf("events")).toBe("secondary"), PATIENTLY);
  primary.on();
  expect((await next).value?.sequence).toBe(7);
  expect(primary.calls).toEqual(["watchEvents -1", "watchEvents 7"]);
  expect(secondary.calls).toEqual([]);
  stop.abort(new Error("enough"));
});

test("signing in at the secondary is done by its own view", () => {
  const { parley } = two();
  expect(parley.at("secondary").tokens.signIn?.accessToken).toBe("second");
  expect(parley.at("primary").tokens).toBe(parley.tokens);
  const one = new ParleyClient({ baseUrl: "http://parley.test", tokens: memoryTokenStore() });
  expect(() => one.at("secondary")).toThrow("no secondary");
  expect(one.at("primary")).toBe(one);
});

test("nobody listening at a real address is known as such", async () => {
  const secondary = new Scripted("secondary");
  const parley = new ParleyClient({
    // A port that is nobody's.
    baseUrl: "http://127.0.0.1:2",
    tokens: memoryTokenStore(signedIn("first")),
    secondary: { baseUrl: "http://secondary.test", transport: secondary.transport, tokens: memoryTokenStore(signedIn("second")) },
  });
  clients.push(parley);
  expect((await parley.chat.createSession({})).session?.title).toBe("secondary");
});

test("the example is answered by the one that is there", async () => {
  const secondary = new Scripted("secondary");
  secondary.turns.push([started(), delta(2, "Set "), delta(3, "a key."), completed(4)]);
  const told: string[] = [];
  const parley = connect(
    {
      baseUrl: "http://127.0.0.1:2",
      tokens: memoryTokenStore(signedIn("first")),
      secondary: { baseUrl: "http://secondary.test", transport: secondary.transport, tokens: memoryTokenStore(signedIn("second")) },
    },
    (line) => told.push(line),
  );
  clients.push(parley);
  let answer = "";
  await ask(parley, "How do I add a provider?", (text) => (answer += text), (line) => told.push(line));
  expect(answer).toBe("Set a key.");
  expect(told).toContain("answered by the secondary");
  expect(told).toContain("documents cannot be reached now");
});
