/** Insights: tables as files, usage by day and part, leads in pieces, content as it comes, what is said of recommendations, and batches. */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type ConnectRouter } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { ContentFieldKind, ContentFieldSchema, ContentService, ContentTemplateSchema } from "@parley/protos/parley/ai/v1/content_service_pb";
import { BatchState } from "@parley/protos/parley/chat/v1/batch_pb";
import { BatchService, CreateBatchResponseSchema } from "@parley/protos/parley/chat/v1/batch_service_pb";
import { ScoringModelSchema, ScoringQualitySchema, ScoringService } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { InteractionKind, RecommendationService } from "@parley/protos/parley/retrieval/v1/recommendation_service_pb";
import { UsageDimension, UsageRowSchema, UsageService, type GetUsageRequest } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { expect, test, vi } from "vitest";
import { refusal } from "../src/rpc/upload";
import { Batches } from "../src/state/batches";
import { Content, type ContentFields } from "../src/state/content";
import { Leads, partsOf } from "../src/state/leads";
import { Recommendations } from "../src/state/recommendations";
import { rangeOf, Usage } from "../src/state/usage";
import { jsonLines, placeWords } from "../src/text/batches";
import { itemsOf } from "../src/text/catalog";
import { asTemplate, placeholdersOf, textFileName, valueFault } from "../src/text/content";
import { brierWords, guessLabel, guessPositive, leadOf, missingColumns, modelName, percent, signed, valuesOf } from "../src/text/leads";
import { readTable, readTableFile, TableError, wordsForTable, writeTable } from "../src/text/table";
import { dayFrom, dayKey, daysBetween, seriesOf, topOf } from "../src/text/usage";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };
const BOUNDS = { rows: 3, columns: 4 };

function client(serve: (router: ConnectRouter) => void): ParleyClient {
  return new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) => createRouterTransport(serve, { transport: { interceptors } }),
  });
}

function refused(text: string): string {
  try {
    readTable(text, BOUNDS);
  } catch (thrown) {
    if (thrown instanceof TableError) return wordsForTable(thrown);
    throw thrown;
  }
  return "nothing";
}

test("a table is read with quotes, line breaks in values, other separators and a byte order mark", () => {
  expect(readTable('\ufeffa,"b ""x""\nc"\r\n1,"2,\n3"\n\n4,5', BOUNDS)).toEqual({ names: ["a", 'b "x"\nc'], rows: [["1", "2,\n3"], ["4", "5"]], lines: [3, 6] });
  expect(readTable("a;b\n1,5;2\n", BOUNDS).rows).toEqual([["1,5", "2"]]);
  expect(readTable("a\tb\n1\t\n", BOUNDS).rows).toEqual([["1", ""]]);
});

test("what is wrong with a table is told with its line and column", () => {
  expect(refused("a,b,c\n1,2,3\n1,2\n")).toBe("Line 3: There are 2 values for 3 columns: column “c” has none.");
  expect(refused("a,b\n1,2,3\n")).toContain("Line 2: There are 3 values for 2 columns");
  expect(refused('a,b\n1,2\n3,"4\n')).toBe("Line 3: The value in column 2 begins with a quote that is never closed.");
  expect(refused('a,b\n"1"x,2\n')).toBe("Line 2: The value in column 1 goes on after its closing quote.");
  expect(refused("a,a\n1,2\n")).toBe("Line 1: Two columns are called “a”.");
  expect(refused("a,\n1,2\n")).toContain("Line 1: Column 2 has no usable name");
  expect(refused("a\n1\n2\n3\n4\n")).toBe("Line 5: There are more than 3 rows, the most that is taken.");
  expect(refused("a,b,c,d,e\n1,2,3,4,5\n")).toContain("There are 5 columns; 4 is the most");
  expect([refused(""), refused("a,b\n")]).toEqual(["Line 1: This file is empty. Its first line has to name the columns.", "Line 1: There is a line of names and no row below it."]);
});

test("a file that is too large or no text is refused before it is read as a table", async () => {
  await expect(readTableFile(new Blob(["a\n1\n"]), { ...BOUNDS, bytes: 3 })).rejects.toThrow("is the most that is taken");
  await expect(readTableFile(new Blob([new Uint8Array([0x61, 0x0a, 0xff, 0xfe])]), { ...BOUNDS, bytes: 99 })).rejects.toThrow("isn't text in UTF-8");
});

test("a table that was written is read as it was", () => {
  const rows = [["1", 'say "hi", then go'], [" x ", "two\nlines"]];
  expect(readTable(writeTable(["a", "b,c"], rows), BOUNDS)).toMatchObject({ names: ["a", "b,c"], rows });
});

test("days, and how high a plot is", () => {
  expect(daysBetween(new Date(2026, 1, 27), new Date(2026, 2, 2)).map(({ key }) => key)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
  expect([dayFrom("2026-02-29"), dayFrom("soon"), dayKey(dayFrom("2024-02-29") ?? new Date())]).toEqual([undefined, undefined, "2024-02-29"]);
  expect([0, 2, 3, 7, 11, 250, 10_000].map(topOf)).toEqual([2, 2, 4, 8, 20, 300, 10_000]);
});

test("a span of one's own ends with its last day, and one that holds today is open", () => {
  const now = new Date(2026, 10, 22, 12);
  const { days, times } = rangeOf({ first: "2026-11-01", last: "2026-11-03" }, now);
  expect(days).toHaveLength(3);
  expect(times.endTime && timestampDate(times.endTime)).toEqual(new Date(2026, 10, 4));
  expect(rangeOf({ first: "2026-11-01", last: "2026-11-22" }, now).times.endTime).toBeUndefined();
  expect(rangeOf({ last: 7 }, now).days.map(({ key }) => key)).toEqual(["16", "17", "18", "19", "20", "21", "22"].map((day) => `2026-11-${day}`));
});

test("the series of a plot are the largest, with the rest together where figures add up, and without days on which no text came where they are times", () => {
  const days = daysBetween(new Date(2026, 10, 1), new Date(2026, 10, 2));
  const row = (model: string, day: string, requests: number, first: number) =>
    create(UsageRowSchema, { model, day, requestCount: BigInt(requests), timeToFirstTokenP50Ms: BigInt(first) });
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const rows = names.map((name, index) => row(name, "2026-11-02", 10 - index, 0));
  const parts = rows.map((each) => create(UsageRowSchema, { ...each, day: "" }));
  const series = seriesOf("requests", days, rows, parts, ({ model }) => model);
  expect(series.map(({ name, whole }) => `${name} ${whole}`)).toEqual(["a 10", "b 9", "c 8", "d 7", "e 6", "Others 12"]);
  expect(series[5]?.values).toEqual([undefined, 12]);
  const times = [row("a", "2026-11-01", 1, 0), row("a", "2026-11-02", 1, 40)];
  expect(seriesOf("first", days, times, times.slice(1), ({ model }) => model)[0]?.values).toEqual([undefined, 40]);
});

test("usage is asked for by what it is split by, narrowed to a project, and answers that are late do not show", async () => {
  const asked: GetUsageRequest[] = [];
  let slow: (() => void) | undefined;
  const usage = new Usage(
    client(({ service }) =>
      service(UsageService, {
        getUsage: async (request) => {
          asked.push(request);
          if (request.groupBy.includes(UsageDimension.MODEL)) await new Promise<void>((resolve) => (slow = resolve));
          return { total: {}, rows: [{ model: "m", requestCount: 1n }] };
        },
        listBudgets: () => ({}),
      }),
    ),
  );
  const leave = usage.watch();
  await vi.waitFor(() => expect(slow).toBeDefined());
  usage.choose({ split: UsageDimension.ROUTE, project: "prj_1", span: { last: 7 } });
  await vi.waitFor(() => expect(usage.store.getState().loaded).toBe(true));
  slow?.();
  leave();
  const { partsBy, days } = usage.store.getState();
  expect([partsBy, days.length]).toEqual([UsageDimension.ROUTE, 7]);
  const last = asked.filter(({ projectId }) => projectId === "prj_1").map(({ groupBy }) => groupBy);
  expect(last).toContainEqual([UsageDimension.DAY, UsageDimension.ROUTE]);
});

test("a table of leads tells its label, and a model its words", () => {
  const table = readTable("id,won,source\n1,yes,list\n2,no,\n3,yes,search\n", { rows: 9, columns: 9 });
  expect([guessLabel(table), valuesOf(table, "won"), guessPositive(["no", "Yes"]), guessPositive(["a", "b"])]).toEqual(["won", ["yes", "no"], "Yes", ""]);
  expect([modelName("Ended Deals (2026).csv"), modelName("…")]).toEqual(["ended-deals-2026", "leads"]);
  expect(leadOf(["a", "b"], [" ", "1"])).toEqual({ b: "1" });
  expect([percent(0.001), percent(0.734), percent(0.999), signed(-1.3), signed(0.825), signed(-0.001)]).toEqual(["below 1 %", "73 %", "above 99 %", "−1.30", "+0.82", "0.00"]);
  expect(brierWords(create(ScoringQualitySchema, { brierScore: 0.125, baselineBrierScore: 0.25 }))).toContain("50 % less");
  const model = create(ScoringModelSchema, { columns: [{ name: "a", kind: 1 }, { name: "b", kind: 2 }, { name: "c", kind: 4 }] });
  expect(missingColumns(model, ["b", "z"])).toEqual({ missing: ["a"], known: 1 });
});

test("many leads are scored in pieces and come back in their order", async () => {
  const sizes: number[] = [];
  const leads = new Leads(
    client(({ service }) =>
      service(ScoringService, {
        scoreLeads: ({ rows }) => {
          sizes.push(rows.length);
          return { scores: rows.map((row) => ({ score: Number(row["n"]) / 2048 })) };
        },
      }),
    ),
  );
  const rows = Array.from({ length: 1100 }, (_, index) => ({ n: String(index) }));
  const told: number[] = [];
  const scores = await leads.score({ name: "m", version: 1 }, rows, { onProgress: (done) => told.push(done) });
  expect(sizes).toEqual([500, 500, 100]);
  expect(told).toEqual([500, 1000, 1100]);
  expect(scores.map(({ score }) => score * 2048)).toEqual(rows.map((_, index) => index));
  expect([...partsOf([{ a: "x".repeat(900_000) }, { a: "y".repeat(900_000) }])]).toHaveLength(2);
});

test("a training that is cancelled is over, and makes no model", async () => {
  const leads = new Leads(
    client(({ service }) => service(ScoringService, { trainScoringModel: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new ConnectError("", Code.Canceled)))) })),
  );
  const training = leads.train({ name: "m", csv: "", labelColumn: "won", positiveLabel: "yes", columnKinds: {} });
  expect(leads.store.getState().training?.name).toBe("m");
  leads.cancel();
  expect(await training).toBeUndefined();
  expect(leads.store.getState()).toMatchObject({ training: undefined, models: [] });
});

const TEMPLATE = create(ContentTemplateSchema, { templateId: "email", title: "E-mail" });
const FIELDS: ContentFields = { template: TEMPLATE, custom: "", fields: { purpose: "x" }, tone: "", audience: "", language: "", length: 2, variantCount: 2 };

function storage(): Pick<Storage, "getItem" | "setItem"> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
}

test("content comes in versions, each with its own end", async () => {
  const content = new Content(
    client(({ service }) =>
      service(ContentService, {
        async *streamContent() {
          yield { variant: 0, event: { case: "started" as const, value: { model: "m" } } };
          yield { variant: 0, event: { case: "textDelta" as const, value: "Hel" } };
          yield { variant: 1, event: { case: "failed" as const, value: { message: "no" } } };
          yield { variant: 0, event: { case: "textDelta" as const, value: "lo" } };
          yield { variant: 0, event: { case: "finished" as const, value: { usage: { outputTokens: 2 } } } };
        },
      }),
    ),
  );
  await content.write(FIELDS);
  expect(content.store.getState()).toMatchObject({ writing: false, variants: [{ text: "Hello", model: "m", state: "finished", usage: { outputTokens: 2 } }, { state: "failed" }] });
});

test("what is stopped keeps its text, and a request that is refused leaves nothing", async () => {
  let refuse = false;
  const content = new Content(
    client(({ service }) =>
      service(ContentService, {
        async *streamContent(_, { signal }) {
          if (refuse) throw new ConnectError("no", Code.InvalidArgument);
          yield { variant: 0, event: { case: "textDelta" as const, value: "Half" } };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      }),
    ),
  );
  const writing = content.write({ ...FIELDS, variantCount: 1 });
  await vi.waitFor(() => expect(content.store.getState().variants[0]?.text).toBe("Half"));
  content.stop();
  await writing;
  expect(content.store.getState()).toMatchObject({ writing: false, error: undefined, variants: [{ text: "Half", state: "stopped" }] });
  refuse = true;
  await expect(content.write(FIELDS)).rejects.toMatchObject({ code: Code.InvalidArgument });
  expect(content.store.getState()).toMatchObject({ writing: false, variants: [] });
});

test("templates of one's own are kept in the browser, and ask for what stands in braces", async () => {
  const kept = storage();
  const serve = (router: ConnectRouter) => router.service(ContentService, { listContentTemplates: () => ({}) });
  const toast = { id: "own:1", title: "Toast", text: "A toast for {who}, who likes {what} and {who}. {{no}}" };
  expect(new Content(client(serve), kept).keep(toast)).toBe(true);
  const content = new Content(client(serve), kept);
  await content.refresh();
  expect(content.store.getState().own).toEqual([toast]);
  expect(asTemplate(toast).fields.map(({ name, required }) => [name, required])).toEqual([["who", true], ["what", true]]);
  expect(placeholdersOf("Hi {Who}").fault).toContain("After “{”");
  content.forget("own:1");
  expect(content.store.getState().own).toEqual([]);
  kept.setItem("parley.content-templates.usr_1", "{nonsense");
  await content.refresh();
  expect(content.store.getState().own).toEqual([]);
});

test("values of a form are checked before they are sent, and texts have names as files", () => {
  const number = create(ContentFieldSchema, { kind: ContentFieldKind.INTEGER, required: true, minimum: 1n, maximum: 5n });
  expect([valueFault(number, ""), valueFault(number, "x"), valueFault(number, "6"), valueFault(number, "5")]).toEqual([
    "This is needed.",
    "This has to be a whole number.",
    "This has to be 1 to 5.",
    undefined,
  ]);
  expect([textFileName("---\n# Hello, World!\ntext", "E-mail"), textFileName("…", "E-mail")]).toEqual(["Hello-World.md", "E-mail.md"]);
});

test("a catalog is read from a table, with line and column of what is wrong", () => {
  const table = (text: string) => itemsOf(readTable(text, { rows: 9, columns: 9 }));
  expect(table("SKU,Name,Description\n1,Lamp,Light\n")).toEqual([{ itemId: "1", title: "Lamp", text: "Light", category: "" }]);
  expect(() => table("id,text\n1,x\n")).toThrow("There is no column “title”.");
  expect(() => table("id,title\n1,x\n2,\n")).toThrow(expect.objectContaining({ line: 3, message: "Column “title” is empty." }) as Error);
  expect(() => table("id,title\n1,x\n1,y\n")).toThrow("stands in line 2 already");
});

test("what somebody thinks of an item shows at once, and is taken back when it could not be recorded", async () => {
  let lost = false;
  const recommendations = new Recommendations(
    client(({ service }) =>
      service(RecommendationService, {
        listRecommendations: () => ({ recommendations: [{ item: { itemId: "a", title: "A" } }], isNewPerson: true }),
        recordInteractions: () => {
          if (lost) throw new ConnectError("no", Code.Internal);
          return { recordedCount: 1 };
        },
      }),
    ),
  );
  await recommendations.refresh();
  const liking = recommendations.record("a", InteractionKind.LIKE);
  expect(recommendations.store.getState().done.get("a")).toBe(InteractionKind.LIKE);
  await liking;
  lost = true;
  await expect(recommendations.record("a", InteractionKind.DISLIKE)).rejects.toMatchObject({ code: Code.Internal });
  expect(recommendations.store.getState().done.get("a")).toBe(InteractionKind.LIKE);
});

test("prompts that are typed in are lines of a batch, and its faults are told by line", () => {
  expect(jsonLines('Say "hi"\r\n\n {"id": "a", "prompt": "x"} \n{no json')).toBe('{"prompt":"Say \\"hi\\""}\n{"id": "a", "prompt": "x"}\n{"prompt":"{no json"}\n');
  expect([placeWords("lines[7].prompt"), placeWords("lines[1200]"), placeWords("title")]).toEqual(["Line 7, prompt", "Line 1,200", "title"]);
  const error = refusal(400, '{"code": 3, "message": "bad", "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest", "field_violations": [{"field": "lines[1].prompt", "description": "is needed"}]}]}');
  expect(error.fieldViolations).toEqual([{ field: "lines[1].prompt", description: "is needed" }]);
});

test("batches are asked about until all have ended, and only while somebody looks", async () => {
  let asked = 0;
  const serve = (router: ConnectRouter) =>
    router.service(BatchService, {
      listBatches: () => {
        asked += 1;
        return { batches: [{ batchId: "bat_1", totalCount: 2, state: asked < 4 ? BatchState.RUNNING : BatchState.DONE }] };
      },
      async *getBatchResults() {
        yield { results: { data: new TextEncoder().encode('{"id"') } };
        yield { results: { data: new TextEncoder().encode(': "1"}\n') } };
      },
    });
  const sent: string[] = [];
  const send = async (lines: Blob, { title }: { title: string }) => {
    sent.push(title, await lines.text());
    return create(CreateBatchResponseSchema);
  };
  const batches = new Batches(client(serve), { askEveryMs: 1, send });
  const leave = batches.watch();
  await vi.waitFor(() => expect(batches.store.getState().batches[0]?.state).toBe(BatchState.DONE));
  expect(asked).toBe(4);
  leave();
  await batches.add(new Blob(["x\n"]), { title: "T", clientBatchId: "c" });
  expect(sent).toEqual(["T", "x\n"]);
  expect(await (await batches.results("bat_1")).text()).toBe('{"id": "1"}\n');
});
