import { create } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { AvailableModelSchema, GenerationService, ModelCapability } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { BudgetPeriod, BudgetSchema } from "@parley/protos/parley/budget/v1/budget_pb";
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { JobFailureReason, JobFailureSchema, JobSchema, JobState } from "@parley/protos/parley/retrieval/v1/job_pb";
import { EstimateCostResponseSchema } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { expect, test } from "vitest";
import type { Upload } from "../src/state/documents";
import { Models } from "../src/state/models";
import { routeFor, splitAttachments, tellAttachment, withAttachments } from "../src/text/attachments";
import { wordsForEstimate } from "../src/text/estimates";
import { roughly } from "../src/text/figures";
import { cutAtWords } from "../src/text/highlights";

test("what is attached stands in the message and comes out of it again", () => {
  const message = withAttachments("Compare them.", ["The lease, 2024", "A “quoted”\nname"]);
  expect(message).toBe("Compare them.\n\n[Attached: “The lease, 2024”, “A quoted name”]");
  expect(splitAttachments(message)).toEqual({ text: "Compare them.", titles: ["The lease, 2024", "A quoted name"] });
});

test("a message without attachments is as it was typed", () => {
  expect(withAttachments("Hello", [])).toBe("Hello");
  for (const message of ["Hello", "[Attached: “x”]", "a\n\n[Attached: x]", "a\n\n[Attached: “x”] and more"]) {
    expect(splitAttachments(message)).toEqual({ text: message, titles: [] });
  }
});

test("a message with files is answered by the route that searches, unless its user chose the other", () => {
  const message = withAttachments("Sum it up.", ["Lease"]);
  expect(routeFor(message, Route.AUTOMATIC)).toBe(Route.ENHANCED);
  expect(routeFor(message, Route.STANDARD)).toBe(Route.STANDARD);
  expect(routeFor("Sum it up.", Route.AUTOMATIC)).toBe(Route.AUTOMATIC);
});

test("a file is working until it is read, and then ready or bad", () => {
  const upload: Upload = { key: "1", name: "a.md", size: 2000 };
  const job = (state: JobState) => create(JobSchema, { state, failure: create(JobFailureSchema, { reason: JobFailureReason.UNSUPPORTED, message: "the file is a picture" }) });
  expect(tellAttachment(upload)).toMatchObject({ look: "working", words: "Waiting to be sent" });
  expect(tellAttachment({ ...upload, sent: 0.25 })).toMatchObject({ look: "working", words: "Sending 25 %" });
  expect(tellAttachment({ ...upload, sent: 1, job: job(JobState.QUEUED) })).toMatchObject({ look: "working" });
  expect(tellAttachment({ ...upload, sent: 1, job: job(JobState.DONE) })).toEqual({ look: "ready", words: "2 kB", part: 1 });
  expect(tellAttachment({ ...upload, sent: 1, job: job(JobState.FAILED) })).toMatchObject({ look: "bad", words: expect.stringMatching(/^The file is a picture\. Parley reads PDF/) });
  expect(tellAttachment({ ...upload, fault: "too-large" })).toMatchObject({ look: "bad" });
});

const ESTIMATE = { route: Route.ENHANCED, model: "big", inputTokens: 1200n, outputTokensLow: 80n, outputTokensHigh: 600n };

test("an estimate is told short and in sentences", () => {
  const priced = wordsForEstimate(create(EstimateCostResponseSchema, { ...ESTIMATE, costUsdMicrosLow: 2300n, costUsdMicrosHigh: 7500n }));
  expect(priced).toEqual({
    tokens: "≈ 1.8k tokens",
    cost: "$0.0023–$0.0075",
    long: "An estimate for the enhanced route with big: about 1,200 tokens read, 80 to 600 written. It would cost about $0.0023–$0.0075.",
  });
  expect(wordsForEstimate(create(EstimateCostResponseSchema, ESTIMATE))).toMatchObject({ cost: "", long: expect.stringContaining("price is not known") });
  expect(wordsForEstimate(create(EstimateCostResponseSchema, { ...ESTIMATE, costUsdMicrosHigh: 0n })).cost).toBe("free");
});

test("an estimate that does not fit a budget says which", () => {
  const budget = create(BudgetSchema, { period: BudgetPeriod.MONTH });
  const fits = (low: boolean, high: boolean) => wordsForEstimate(create(EstimateCostResponseSchema, { ...ESTIMATE, fits: [{ budget, low, high }] })).warning;
  expect(fits(true, true)).toBeUndefined();
  expect(fits(true, false)).toBe("A long answer would end early: your monthly budget is nearly used up.");
  expect(fits(false, false)).toBe("This is more than is left of your monthly budget.");
});

test("rough numbers have two digits that tell something", () => {
  expect([0, 999, 1_000, 9_940, 9_960, 12_345, 999_499, 999_500, 1_234_567].map(roughly)).toEqual(["0", "999", "1.0k", "9.9k", "10k", "12k", "999k", "1.0M", "1.2M"]);
});

test("the words of a search are marked in any case, whatever signs they have", () => {
  expect(cutAtWords("Marmalade and C++ jam", "MARMA c++")).toEqual([
    { text: "Marma", found: true },
    { text: "lade and ", found: false },
    { text: "C++", found: true },
    { text: " jam", found: false },
  ]);
  expect(cutAtWords("a+b", " ")).toEqual([{ text: "a+b", found: false }]);
});

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

function modelsOf(...names: string[]) {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(GenerationService, {
            listAvailableModels: () => ({
              models: [
                ...names.map((model) => create(AvailableModelSchema, { model, aliases: [`${model}-alias`], capabilities: [ModelCapability.GENERATE] })),
                create(AvailableModelSchema, { model: "embedder", capabilities: [ModelCapability.EMBED] }),
              ],
            }),
          }),
        { transport: { interceptors } },
      ),
  });
  return { parley, storage, models: new Models(parley, storage) };
}

test("models that write are offered, and the choice is kept in the browser", async () => {
  const { models, parley, storage } = modelsOf("small", "big");
  await models.ask();
  expect(models.store.getState().models?.map(({ model }) => model)).toEqual(["small", "big"]);
  models.choose("big-alias");
  expect(new Models(parley, storage).chosen).toBe("big-alias");
});

test("a chosen model that is gone is given up", async () => {
  const { models } = modelsOf("small");
  models.choose("retired");
  await models.ask();
  expect(models.chosen).toBe("");
});
