/** The map of the system: where each part stands, how the ways between them run, and their figures in words. Knows nothing of how it is drawn. */
import { CircuitState, ProviderState } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { SystemNodeKind, type SystemLink, type SystemNode } from "@parley/protos/parley/system/v1/system_map_pb";
import { ServingState, type GetStatusResponse } from "@parley/protos/parley/system/v1/system_service_pb";
import type { Traffic } from "@parley/protos/parley/system/v1/traffic_pb";
import { count, duration } from "./figures";
import { PROVIDER_STATES, SERVICE_NAMES, STATES, type Health } from "./status";

export interface Box {
  readonly id: string;
  readonly name: string;
  /** Its figures, or how it is when that matters more. */
  readonly words: string;
  readonly health: Health | undefined;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Way {
  readonly id: string;
  /** As an SVG path. */
  readonly path: string;
  readonly flow: "none" | "some" | "failing";
  /** What a circuit breaker does to it. */
  readonly breaker: "open" | "trying" | undefined;
  /** Its rate and where that stands; undefined where the box at its end says it, and where nothing goes. */
  readonly label: { readonly words: string; readonly x: number; readonly y: number } | undefined;
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly ways: readonly Way[];
}

/** One row of the table that says the same. */
export interface MapRow {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly calls: string;
  readonly errors: string;
  readonly running: string;
  readonly firstToken: string;
  readonly breaker: string;
}

const STORES: Record<string, string> = { database: "Database", turns: "Events of answers", index: "Search index", files: "Files" };
const TECHNOLOGIES: Record<string, string> = { sqlite: "SQLite", postgresql: "PostgreSQL", redis: "Redis", qdrant: "Qdrant", folder: "folder" };
const CIRCUITS: Partial<Record<CircuitState, string>> = {
  [CircuitState.CLOSED]: "closed",
  [CircuitState.OPEN]: "open",
  [CircuitState.HALF_OPEN]: "half open",
};

/** 12/s, 0.4/s, 3/min, none: how often, of what was counted over some seconds. */
export function rate(calls: bigint, seconds: number): string {
  if (calls === 0n) return "none";
  const each = Number(calls) / Math.max(1, seconds);
  if (each >= 9.95) return `${count(Math.round(each))}/s`;
  if (each >= 1) return `${each.toFixed(1)}/s`;
  return `${count(Math.max(1, Math.round(each * 60)))}/min`;
}

/** What a part is called. */
export function partName({ nodeId, kind }: Pick<SystemNode, "nodeId" | "kind">): string {
  if (kind === SystemNodeKind.EDGE) return "Edge";
  const name = nodeId.slice(nodeId.indexOf(":") + 1);
  if (kind === SystemNodeKind.STORE) return STORES[name] ?? name;
  return kind === SystemNodeKind.SERVICE ? (SERVICE_NAMES[name] ?? name) : name;
}

export function mapRows({ nodes, links }: GetStatusResponse): MapRow[] {
  const names = new Map(nodes.map((node) => [node.nodeId, partName(node)]));
  return links
    .filter(({ fromNodeId, toNodeId }) => names.has(fromNodeId) && names.has(toNodeId))
    .map(({ fromNodeId, toNodeId, traffic, circuit }) => ({
      id: `${fromNodeId} ${toNodeId}`,
      from: names.get(fromNodeId) ?? "",
      to: names.get(toNodeId) ?? "",
      calls: traffic ? rate(traffic.callCount, traffic.windowSeconds) : "not counted",
      errors: traffic ? rate(traffic.errorCount, traffic.windowSeconds) : "",
      running: traffic ? count(traffic.runningCount) : "",
      firstToken: traffic?.timeToFirstTokenMs ? duration(traffic.timeToFirstTokenMs) : "",
      breaker: CIRCUITS[circuit] ?? "",
    }));
}

const SERVICE_HEIGHT = 58;
const LEAF_HEIGHT = 46;
const GAP = 10;
const GROUP_GAP = 22;

interface Group {
  readonly service: SystemNode;
  readonly leaves: readonly SystemNode[];
  readonly top: number;
  readonly height: number;
}

/** From left to right: the edge, chat, what it asks, and what those stand on. */
export function wideMap(status: GetStatusResponse): Drawing {
  const [EDGE, CHAT, ASKED, LEAF] = [0, 150, 370, 588];
  const [EDGE_WIDTH, WIDTH, LEAF_WIDTH] = [84, 148, 172];
  const { groups, height } = groupsOf(status, ["retrieval", "chat", "inference"], 0);
  const boxes: Box[] = [];
  for (const { service, leaves, top, height: of } of groups) {
    const x = service.nodeId === "chat" ? CHAT : ASKED;
    boxes.push(box(status, service, x, top + (of - SERVICE_HEIGHT) / 2, WIDTH, SERVICE_HEIGHT));
    const start = top + (of - stackHeight(leaves)) / 2;
    leaves.forEach((leaf, place) => boxes.push(box(status, leaf, LEAF, start + place * (LEAF_HEIGHT + GAP), LEAF_WIDTH, LEAF_HEIGHT)));
  }
  const chat = boxes.find(({ id }) => id === "chat");
  const edge = status.nodes.find(({ kind }) => kind === SystemNodeKind.EDGE);
  if (edge && chat) boxes.unshift(box(status, edge, EDGE, chat.y, EDGE_WIDTH, SERVICE_HEIGHT));
  const ways = waysOf(status, boxes, (from, to) => {
    const [y1, y2] = [middle(from), middle(to)];
    if (from.id === "edge" && to.id !== "chat") {
      // Past chat, over or under it.
      const up = y2 < y1;
      const [x, y] = [from.width / 2, y2 + (up ? -10 : 10)];
      const turn = up ? 12 : -12;
      return { path: `M${x} ${up ? from.y : from.y + from.height}V${y + turn}Q${x} ${y} ${x + 12} ${y}H${to.x}`, label: { x: CHAT + WIDTH / 2, y } };
    }
    if (from.x === to.x) {
      const x = from.x + from.width / 2;
      const [start, end] = y1 < y2 ? [from.y + from.height, to.y] : [from.y, to.y + to.height];
      return { path: `M${x} ${start}V${end}`, label: { x, y: (start + end) / 2 + (end - start) / 4 } };
    }
    const [start, end] = [from.x + from.width, to.x];
    const half = (start + end) / 2;
    return { path: y1 === y2 ? `M${start} ${y1}H${end}` : `M${start} ${y1}C${half} ${y1} ${half} ${y2} ${end} ${y2}`, label: { x: half, y: (y1 + y2) / 2 } };
  });
  return { width: LEAF + LEAF_WIDTH, height, boxes, ways };
}

/** From top to bottom, for a phone: each service with what it stands on beside it. */
export function narrowMap(status: GetStatusResponse): Drawing {
  const [SERVICE, LEAF, WIDTH, LEAF_WIDTH] = [30, 196, 142, 148];
  const top = SERVICE_HEIGHT + GROUP_GAP + 14;
  const { groups, height } = groupsOf(status, ["chat", "retrieval", "inference"], top);
  const boxes: Box[] = [];
  const edge = status.nodes.find(({ kind }) => kind === SystemNodeKind.EDGE);
  if (edge) boxes.push(box(status, edge, SERVICE, 0, WIDTH, SERVICE_HEIGHT));
  for (const { service, leaves, top: start, height: of } of groups) {
    boxes.push(box(status, service, SERVICE, start + (of - SERVICE_HEIGHT) / 2, WIDTH, SERVICE_HEIGHT));
    const first = start + (of - stackHeight(leaves)) / 2;
    leaves.forEach((leaf, place) => boxes.push(box(status, leaf, LEAF, first + place * (LEAF_HEIGHT + GAP), LEAF_WIDTH, LEAF_HEIGHT)));
  }
  const order = boxes.filter(({ x }) => x === SERVICE).map(({ id }) => id);
  // Ways that pass a service by run left of it, each on a track of its own.
  const tracks = [22, 14, 6];
  const ways = waysOf(status, boxes, (from, to) => {
    const [y1, y2] = [middle(from), middle(to)];
    if (from.x !== to.x) {
      const [start, end] = [from.x + from.width, to.x];
      const half = (start + end) / 2;
      return { path: `M${start} ${y1}C${half} ${y1} ${half} ${y2} ${end} ${y2}` };
    }
    if (order.indexOf(to.id) - order.indexOf(from.id) === 1) {
      const x = from.x + from.width / 2;
      return { path: `M${x} ${from.y + from.height}V${to.y}`, label: { x, y: (from.y + from.height + to.y) / 2 } };
    }
    const x = tracks.shift() ?? 6;
    return { path: `M${from.x} ${y1 + 8}H${x + 8}Q${x} ${y1 + 8} ${x} ${y1 + 16}V${y2 - 16}Q${x} ${y2 - 8} ${x + 8} ${y2 - 8}H${to.x}` };
  });
  return { width: LEAF + LEAF_WIDTH, height, boxes, ways };
}

function groupsOf({ nodes }: GetStatusResponse, order: readonly string[], from: number): { groups: Group[]; height: number } {
  const groups: Group[] = [];
  let top = from;
  for (const name of order) {
    const service = nodes.find(({ nodeId }) => nodeId === name);
    if (!service) continue;
    const leaves = nodes.filter(({ nodeId }) => nodeId.startsWith(name === "inference" ? "provider:" : `${name}:`));
    const height = Math.max(SERVICE_HEIGHT, stackHeight(leaves));
    groups.push({ service, leaves, top, height });
    top += height + GROUP_GAP;
  }
  return { groups, height: Math.max(top - GROUP_GAP, SERVICE_HEIGHT) };
}

function stackHeight(leaves: readonly SystemNode[]): number {
  return leaves.length * (LEAF_HEIGHT + GAP) - GAP;
}

function middle({ y, height }: Box): number {
  return y + height / 2;
}

function box(status: GetStatusResponse, node: SystemNode, x: number, y: number, width: number, height: number): Box {
  return { id: node.nodeId, name: partName(node), ...describe(status, node), x, y, width, height };
}

function describe(status: GetStatusResponse, { nodeId, kind, technology }: SystemNode): { words: string; health: Health | undefined } {
  const coming = status.links.filter(({ toNodeId, traffic }) => toNodeId === nodeId && traffic);
  if (kind === SystemNodeKind.EDGE) return { words: "", health: "good" };
  if (kind === SystemNodeKind.STORE) {
    const [traffic] = coming.map((link) => link.traffic);
    const failing = !!traffic && traffic.errorCount > 0n;
    const kindWords = TECHNOLOGIES[technology] ?? technology;
    return { words: traffic?.callCount ? `${kindWords} · ${words([traffic])}` : kindWords, health: failing ? "bad" : undefined };
  }
  const figures = words(coming.map((link) => link.traffic));
  if (kind === SystemNodeKind.PROVIDER) {
    const provider = status.providers.find(({ provider: name }) => `provider:${name}` === nodeId);
    const state = PROVIDER_STATES[provider?.state ?? ProviderState.UNSPECIFIED];
    const first = coming[0]?.traffic?.timeToFirstTokenMs;
    if (provider?.state === ProviderState.OPEN) return { words: "left alone for a while", health: state.health };
    const [traffic] = coming.map((link) => link.traffic);
    const isWell = first && traffic && traffic.errorCount === 0n;
    return { words: isWell ? `${rate(traffic.callCount, traffic.windowSeconds)} · first ${duration(first)}` : figures, health: state.health };
  }
  const service = status.services.find(({ service: name }) => name === nodeId);
  const state = STATES[service?.state ?? ServingState.UNSPECIFIED];
  return { words: service?.state === ServingState.SERVING ? figures : state.words, health: state.health };
}

/** What goes over several ways together: 12/s · 1.0/s fail. */
function words(all: readonly (Traffic | undefined)[]): string {
  let [calls, errors, running, seconds] = [0n, 0n, 0, 1];
  for (const traffic of all) {
    if (!traffic) continue;
    calls += traffic.callCount;
    errors += traffic.errorCount;
    running += traffic.runningCount;
    seconds = Math.max(seconds, traffic.windowSeconds);
  }
  const parts = [
    calls > 0n && rate(calls, seconds),
    // Both do not fit, and a failure matters more.
    errors > 0n ? `${rate(errors, seconds)} fail` : running > 0 && `${count(running)} running`,
  ].filter((part) => part !== false);
  return parts.length > 0 ? parts.join(" · ") : "quiet";
}

interface Route {
  readonly path: string;
  readonly label?: { readonly x: number; readonly y: number };
}

function waysOf({ links }: GetStatusResponse, boxes: readonly Box[], route: (from: Box, to: Box) => Route): Way[] {
  const places = new Map(boxes.map((each) => [each.id, each]));
  return links.flatMap((link) => {
    const [from, to] = [places.get(link.fromNodeId), places.get(link.toNodeId)];
    if (!from || !to) return [];
    const { path, label } = route(from, to);
    const isBetweenServices = !to.id.includes(":");
    const flow = flowOf(link);
    return [
      {
        id: `${from.id} ${to.id}`,
        path,
        flow,
        breaker: link.circuit === CircuitState.OPEN ? "open" : link.circuit === CircuitState.HALF_OPEN ? "trying" : undefined,
        label:
          label && isBetweenServices && flow !== "none" && link.traffic?.callCount
            ? { words: rate(link.traffic.callCount, link.traffic.windowSeconds), ...label }
            : undefined,
      },
    ];
  });
}

function flowOf({ traffic }: SystemLink): Way["flow"] {
  if (!traffic || (traffic.callCount === 0n && traffic.runningCount === 0)) return "none";
  return traffic.errorCount > 0n ? "failing" : "some";
}
