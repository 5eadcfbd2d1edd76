/** Search in documents: one answer is shown, that of the last question, and what is narrowed is asked for narrowed. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { MediaType } from "@parley/protos/parley/retrieval/v1/document_pb";
import { SearchResponseSchema, SearchService, type SearchRequest } from "@parley/protos/parley/retrieval/v1/search_service_pb";
import { expect, test, vi } from "vitest";
import { DocumentSearch } from "../src/state/documentSearch";
import { pieces } from "../src/text/marked";
import { roomFor } from "../src/text/room";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

/** A retrieval in this process: the test says what it answers. */
function searching(answer: (request: SearchRequest) => MessageInitShape<typeof SearchResponseSchema> | Promise<MessageInitShape<typeof SearchResponseSchema>>) {
  const asked: SearchRequest[] = [];
  const project = { now: "" };
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(SearchService, {
            search: async (request) => {
              asked.push(request);
              return create(SearchResponseSchema, await answer(request));
            },
          }),
        { transport: { interceptors } },
      ),
  });
  const search = new DocumentSearch(parley, () => project.now, 0);
  return { search, asked, project, state: () => search.store.getState() };
}

const hits = (...names: string[]) => names.map((name) => ({ chunkId: name, documentTitle: name }));

test("what was found is shown, and more of it is added", async () => {
  const { search, asked, state } = searching(({ pageToken }) => (pageToken ? { hits: hits("c") } : { hits: hits("a", "b"), nextPageToken: "next" }));
  search.type("  larch ");
  await vi.waitFor(() => expect(state().hits).toHaveLength(2));
  await search.more();
  expect(state().hits?.map(({ chunkId }) => chunkId)).toEqual(["a", "b", "c"]);
  expect(state().nextToken).toBe("");
  expect(asked.map(({ query, pageToken }) => [query, pageToken])).toEqual([
    ["larch", ""],
    ["larch", "next"],
  ]);
});

test("the filters and the project go with the question", async () => {
  const { search, asked, project, state } = searching(() => ({ hits: hits("a") }));
  project.now = "prj_1";
  search.type("larch");
  await vi.waitFor(() => expect(state().hits).toHaveLength(1));
  search.narrow({ kind: MediaType.PDF, days: 7, shared: true });
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  expect(asked[0]).toMatchObject({ project: "prj_1", excludeShared: true, mediaTypes: [] });
  expect(asked[0]?.updateTimeFrom).toBeUndefined();
  expect(asked[1]).toMatchObject({ project: "prj_1", excludeShared: false, mediaTypes: [MediaType.PDF] });
  const weekAgo = Date.now() / 1000 - 7 * 86_400;
  expect(Math.abs(Number(asked[1]?.updateTimeFrom?.seconds) - weekAgo)).toBeLessThan(3_600);
});

test("an answer that comes after another question is not shown", async () => {
  let late: (() => void) | undefined;
  const { search, asked, state } = searching(async ({ query }) => {
    if (query === "first") await new Promise<void>((resolve) => (late = resolve));
    return { hits: hits(query) };
  });
  search.type("first");
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  search.type("second");
  await vi.waitFor(() => expect(state().hits?.[0]?.chunkId).toBe("second"));
  late?.();
  await Promise.resolve();
  expect(state().hits?.map(({ chunkId }) => chunkId)).toEqual(["second"]);
  expect(state().loading).toBe(false);
});

test("what went wrong is told and asked again, and an empty box shows nothing", async () => {
  let broken = true;
  const { search, state } = searching(() => {
    if (broken) throw new ConnectError("no", Code.InvalidArgument);
    return { hits: hits("a") };
  });
  search.type("larch");
  await vi.waitFor(() => expect(state().error).toBeDefined());
  broken = false;
  search.again();
  await vi.waitFor(() => expect(state().hits).toHaveLength(1));
  expect(state().error).toBeUndefined();
  search.type(" ");
  expect(state()).toMatchObject({ hits: undefined, loading: false });
});

test("words are marked where they stand, also behind signs of two units", () => {
  const text = "🌲 the larch at the mill";
  expect(pieces(text, [{ startOffset: 6, endOffset: 11 }, { startOffset: 19, endOffset: 23 }])).toEqual([
    { text: "🌲 the ", marked: false },
    { text: "larch", marked: true },
    { text: " at the ", marked: false },
    { text: "mill", marked: true },
  ]);
  expect(pieces("larch", [{ startOffset: 0, endOffset: 99 }, { startOffset: 2, endOffset: 3 }])).toEqual([{ text: "larch", marked: true }]);
  expect(pieces("", [])).toEqual([]);
});

test("more text takes more room", () => {
  expect(roomFor("word ".repeat(200), 85)).toBeGreaterThan(roomFor("word", 85));
  expect(roomFor("a\nb\nc", 85)).toBeGreaterThan(roomFor("a b c", 85));
  expect(roomFor("word ".repeat(200), 42)).toBeGreaterThan(roomFor("word ".repeat(200), 85));
  expect(roomFor("", 85)).toBeGreaterThan(0);
});
