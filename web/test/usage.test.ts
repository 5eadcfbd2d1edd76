/** Usage and budgets: added up while somebody looks, and amounts as people write them. */
import { create } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { BudgetPeriod, BudgetSchema } from "@parley/protos/parley/budget/v1/budget_pb";
import { MessageState, Role } from "@parley/protos/parley/chat/v1/message_pb";
import { Action, EventSchema, ResourceType } from "@parley/protos/parley/events/v1/event_pb";
import { UsageService, type CreateBudgetRequest, type UpdateBudgetRequest } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { expect, test, vi } from "vitest";
import { Usage } from "../src/state/usage";
import { dollarsToMicros, share, tokensFrom } from "../src/text/budgets";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

function make() {
  const asked = { usage: 0, created: [] as CreateBudgetRequest[], updated: [] as UpdateBudgetRequest[], deleted: [] as string[] };
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(UsageService, {
            getUsage: () => {
              asked.usage += 1;
              return { total: { inputTokens: 2n, outputTokens: 1n }, rows: [{ model: "small", inputTokens: 1n }, { model: "large", inputTokens: 9n }] };
            },
            listBudgets: () => ({ budgets: [{ budgetId: "bud_1" }, { budgetId: "bud_2" }] }),
            createBudget: (request) => {
              asked.created.push(request);
              return {};
            },
            updateBudget: (request) => {
              asked.updated.push(request);
              return {};
            },
            deleteBudget: ({ budgetId }) => {
              asked.deleted.push(budgetId);
              return {};
            },
          }),
        { transport: { interceptors } },
      ),
  });
  return { usage: new Usage(parley), asked };
}

const ended = create(EventSchema, {
  action: Action.UPDATED,
  resourceType: ResourceType.MESSAGE,
  resource: { case: "message", value: { role: Role.ASSISTANT, state: MessageState.COMPLETED } },
});

test("it is added up when somebody looks, again when an answer has ended, and not when nobody does", async () => {
  const { usage, asked } = make();
  usage.observe(ended);
  expect(asked.usage).toBe(0);
  const leave = usage.watch();
  await vi.waitFor(() => expect(usage.store.getState().loaded).toBe(true));
  expect(usage.store.getState().parts.map(({ model }) => model)).toEqual(["large", "small"]);
  const before = asked.usage;
  usage.observe(ended);
  usage.observe(ended);
  await vi.waitFor(() => expect(asked.usage).toBe(2 * before));
  leave();
  usage.observe(ended);
  expect(asked.usage).toBe(2 * before);
});

test("a budget is set, changed and deleted", async () => {
  const { usage, asked } = make();
  await usage.refresh();
  const fields = { name: "Fun", period: BudgetPeriod.DAY, cost: 2_500_000n, tokens: undefined };
  await usage.set(fields);
  expect(asked.created[0]).toMatchObject({ name: "Fun", period: BudgetPeriod.DAY, limitCostUsdMicros: 2_500_000n });
  expect(asked.created[0]?.limitTokens).toBeUndefined();
  await usage.set({ ...fields, cost: undefined, tokens: 9n }, create(BudgetSchema, { budgetId: "bud_1" }));
  expect(asked.updated[0]).toMatchObject({ budgetId: "bud_1", limitTokens: 9n, updateMask: { paths: ["name", "limit_cost_usd_micros", "limit_tokens"] } });
  expect(asked.updated[0]?.limitCostUsdMicros).toBeUndefined();
  await usage.remove("bud_1");
  expect(asked.deleted).toEqual(["bud_1"]);
  expect(usage.store.getState().budgets.map(({ budgetId }) => budgetId)).toEqual(["bud_2"]);
});

test("amounts are read as people write them", () => {
  expect(["2.50", "$2,5", "0", "-1", "much", " "].map(dollarsToMicros)).toEqual([2_500_000n, 2_500_000n, undefined, undefined, undefined, undefined]);
  expect(["40000", "40,000", "40 000", "40k", "1.5M", "0", "x", ""].map(tokensFrom)).toEqual([40_000n, 40_000n, 40_000n, 40_000n, 1_500_000n, undefined, undefined, undefined]);
  expect([share(1n, 4n), share(9n, 4n), share(0n, 0n)]).toEqual([0.25, 1, 1]);
});
