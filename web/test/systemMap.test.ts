/** The map of the system: where its parts stand, and its figures in words. */
import { create } from "@bufbuild/protobuf";
import { CircuitState, ProviderState } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { IncidentKind, SystemNodeKind } from "@parley/protos/parley/system/v1/system_map_pb";
import { GetStatusResponseSchema, ServingState } from "@parley/protos/parley/system/v1/system_service_pb";
import { expect, test } from "vitest";
import { incidentWords, share, traceUrl } from "../src/text/status";
import { mapRows, narrowMap, rate, wideMap, type Drawing } from "../src/text/systemMap";

const calls = (callCount: bigint, errorCount = 0n, timeToFirstTokenMs = 0) => ({ windowSeconds: 60, callCount, errorCount, timeToFirstTokenMs });

function status(providers = 2) {
  const names = Array.from({ length: providers }, (_, place) => `p${place}`);
  return create(GetStatusResponseSchema, {
    services: ["chat", "inference", "retrieval"].map((service) => ({ service, state: service === "retrieval" ? ServingState.UNREACHABLE : ServingState.SERVING })),
    providers: names.map((provider, place) => ({ provider, state: place === 1 ? ProviderState.OPEN : ProviderState.HEALTHY })),
    nodes: [
      { nodeId: "edge", kind: SystemNodeKind.EDGE },
      ...["chat", "inference", "retrieval"].map((nodeId) => ({ nodeId, kind: SystemNodeKind.SERVICE })),
      ...names.map((name) => ({ nodeId: `provider:${name}`, kind: SystemNodeKind.PROVIDER })),
      { nodeId: "chat:database", kind: SystemNodeKind.STORE, technology: "postgresql" },
    ],
    links: [
      { fromNodeId: "edge", toNodeId: "chat", traffic: calls(120n) },
      { fromNodeId: "edge", toNodeId: "inference", traffic: calls(0n) },
      { fromNodeId: "edge", toNodeId: "retrieval" },
      { fromNodeId: "chat", toNodeId: "inference", traffic: calls(30n, 3n) },
      { fromNodeId: "chat", toNodeId: "retrieval" },
      { fromNodeId: "retrieval", toNodeId: "inference", traffic: calls(6n) },
      ...names.map((name, place) => ({
        fromNodeId: "inference",
        toNodeId: `provider:${name}`,
        traffic: calls(24n, 0n, 340),
        circuit: place === 1 ? CircuitState.OPEN : CircuitState.CLOSED,
      })),
      { fromNodeId: "chat", toNodeId: "chat:database", traffic: calls(600n) },
      { fromNodeId: "chat", toNodeId: "of-a-newer-parley" },
    ],
  });
}

const words = ({ boxes }: Drawing) => Object.fromEntries(boxes.map(({ id, words: told }) => [id, told]));

test("rates are told by the second or by the minute, and something is never told as nothing", () => {
  expect([rate(0n, 60), rate(1n, 60), rate(24n, 60), rate(60n, 60), rate(120n, 60), rate(90_000n, 60)]).toEqual(["none", "1/min", "24/min", "1.0/s", "2.0/s", "1,500/s"]);
  // A process that has just begun.
  expect(rate(1n, 0)).toBe("1.0/s");
});

test.each([wideMap, narrowMap])("every part has a place of its own within the drawing, however many there are", (draw) => {
  for (const providers of [0, 1, 12]) {
    const { boxes, width, height } = draw(status(providers));
    expect(boxes).toHaveLength(5 + providers);
    for (const [place, one] of boxes.entries()) {
      expect(one.x).toBeGreaterThanOrEqual(0);
      expect(one.y).toBeGreaterThanOrEqual(0);
      expect(one.x + one.width).toBeLessThanOrEqual(width);
      expect(one.y + one.height).toBeLessThanOrEqual(height);
      for (const other of boxes.slice(place + 1)) {
        const apart = one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y || other.y + other.height <= one.y;
        expect(apart, `${one.id} and ${other.id}`).toBe(true);
      }
    }
  }
});

test.each([wideMap, narrowMap])("parts say what comes to them together, or how they are when that matters more", (draw) => {
  expect(words(draw(status()))).toEqual({
    edge: "",
    chat: "2.0/s",
    inference: "36/min · 3/min fail",
    retrieval: "doesn't answer",
    "provider:p0": "24/min · first 340 ms",
    "provider:p1": "left alone for a while",
    "chat:database": "PostgreSQL · 10/s",
  });
});

test("ways show what flows, what fails and what a breaker holds back, and what is not known is quiet", () => {
  const ways = new Map(wideMap(status()).ways.map((way) => [way.id, way]));
  expect(ways.get("edge chat")?.label?.words).toBe("2.0/s");
  expect(ways.get("edge inference")).toMatchObject({ flow: "none", label: undefined });
  expect(ways.get("chat retrieval")?.flow).toBe("none");
  expect(ways.get("chat inference")?.flow).toBe("failing");
  expect(ways.get("inference provider:p0")).toMatchObject({ flow: "some", breaker: undefined });
  expect(ways.get("inference provider:p1")?.breaker).toBe("open");
  // Both ends have to be known.
  expect([...ways.keys()].some((id) => id.includes("newer"))).toBe(false);
});

test("the table says the same as the drawing", () => {
  const rows = new Map(mapRows(status()).map((row) => [row.id, row]));
  expect(rows.get("chat inference")).toMatchObject({ from: "Conversations", to: "Models", calls: "30/min", errors: "3/min", breaker: "" });
  expect(rows.get("inference provider:p1")).toMatchObject({ to: "p1", firstToken: "340 ms", breaker: "open" });
  expect(rows.get("edge retrieval")).toMatchObject({ calls: "not counted", errors: "" });
});

test("shares of answers are told where there are answers", () => {
  expect([share(1n, 8n), share(1n, 1000n), share(0n, 8n), share(1n, 0n)]).toEqual([" · 13 %", " · <1 %", "", ""]);
});

test("incidents are told without anything that was said", () => {
  expect(incidentWords({ kind: IncidentKind.MODEL_SWITCHED, model: "large", nextModel: "small" })).toBe("large failed and small went on");
  expect(incidentWords({ kind: IncidentKind.ANSWER_FAILED, model: "", nextModel: "" })).toBe("An answer failed before a model began");
});

test("a trace is looked for only at an address of the web", () => {
  const id = "0af7651916cd43dd8448eb211c80319c";
  expect(traceUrl("https://traces.example.org/trace/{trace_id}?a=1", id)).toBe(`https://traces.example.org/trace/${id}?a=1`);
  expect(traceUrl("", id)).toBeUndefined();
  expect(traceUrl(undefined, id)).toBeUndefined();
  expect(traceUrl("javascript:alert('{trace_id}')", id)).toBeUndefined();
  expect(traceUrl("https://traces.example.org/{trace_id}", "../..")).toBeUndefined();
});
