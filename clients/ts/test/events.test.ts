import { Code, type ConnectRouter } from "@connectrpc/connect";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ParleyError, watchEvents, type Watched } from "../src/index.js";
import { client, cut, parleyError } from "./fakes.js";

/** A place, or an event at it. */
const at = (sequence: number) => ({ sequence: BigInt(sequence) });
const event = (sequence: number) => ({ sequence: BigInt(sequence), event: { sequence: BigInt(sequence), resourceId: `tsk_${sequence}` } });

/** What one connection delivers, and what it ends with. */
type Connection = readonly (ReturnType<typeof at> | ReturnType<typeof event> | Error | "silence")[];

function scripted(...connections: Connection[]) {
  const after: number[] = [];
  async function* play(place: bigint, signal: AbortSignal) {
    after.push(Number(place));
    for (const step of connections[after.length - 1] ?? ["silence"]) {
      if (step instanceof Error) throw step;
      if (step === "silence") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      else yield step;
    }
  }
  const parley = client(({ service }: ConnectRouter) =>
    service(EventService, { watchEvents: ({ afterSequence }, context) => play(afterSequence, context.signal) }),
  );
  return { after, parley };
}

/** What is told until so many events have come. */
async function told(stream: AsyncIterable<Watched>, events: number): Promise<string[]> {
  const words: string[] = [];
  let left = events;
  for await (const watched of stream) {
    words.push(watched.event ? watched.event.resourceId : `at ${watched.sequence}`);
    if (watched.event && (left -= 1) === 0) break;
  }
  return words;
}

beforeEach(() => void vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 200 }));
afterEach(() => void vi.useRealTimers());

test("events come in their order, and a cut goes on after the last one", async () => {
  const { parley, after } = scripted([at(7), event(8), cut()], [at(8), event(9), event(10)]);
  expect(await told(watchEvents(parley, -1), 3)).toEqual(["at 7", "tsk_8", "at 8", "tsk_9", "tsk_10"]);
  expect(after).toEqual([-1, 8]);
});

test("what was passed over is not asked for again", async () => {
  const { parley, after } = scripted([at(7), at(12), cut()], [at(12), event(13)]);
  await told(watchEvents(parley, 7), 1);
  expect(after).toEqual([7, 12]);
});

test("an event that was told is not told again", async () => {
  const { parley } = scripted([at(7), event(8), event(8), event(9)]);
  expect(await told(watchEvents(parley, 7), 2)).toEqual(["at 7", "tsk_8", "tsk_9"]);
});

test("a connection that falls silent is replaced, and the loss and the return are told", async () => {
  const { parley, after } = scripted([at(7), "silence"], [cut()], [at(7), event(8)]);
  const states: string[] = [];
  await told(watchEvents(parley, -1, { idleMs: 1000, onConnection: ({ state }) => void states.push(state) }), 1);
  expect(after).toEqual([-1, 7, 7]);
  expect(states).toEqual(["reconnecting", "reconnecting", "connected"]);
});

test("a token that ends in the middle is renewed; a refusal to begin with ends it", async () => {
  const refused = parleyError(Code.Unauthenticated, "ERROR_REASON_TOKEN_EXPIRED");
  const { parley, after } = scripted([at(7), refused], [at(7), event(8)]);
  await told(watchEvents(parley, -1), 1);
  expect(after).toEqual([-1, 7]);

  const closed = scripted([parleyError(Code.PermissionDenied, "ERROR_REASON_SCOPE_MISSING")]);
  const thrown: unknown = await told(watchEvents(closed.parley, -1), 1).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(ParleyError);
  expect(closed.after).toEqual([-1]);
});

test("the caller's signal ends it", async () => {
  const { parley } = scripted([at(7), "silence"]);
  const controller = new AbortController();
  const reading = told(watchEvents(parley, -1, { signal: controller.signal }), 1);
  controller.abort(new Error("enough"));
  await expect(reading).rejects.toThrow("enough");
});
