import { Code, type ConnectRouter } from "@connectrpc/connect";
import { GenerationService, type StreamGenerateTextResponse } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { expect, test } from "vitest";
import { ErrorReason, ParleyError } from "../src/index.js";
import { all, client, parleyError } from "./fakes.js";

test("any service of the contract can be called, whole and streamed", async () => {
  const parley = client(({ service }: ConnectRouter) =>
    service(GenerationService, {
      generateText: ({ prompt }) => ({ text: prompt.toUpperCase() }),
      async *streamGenerateText({ prompt }) {
        yield { event: { case: "textDelta", value: prompt } };
        yield { event: { case: "finished", value: {} } };
      },
    }),
  );
  const generation = parley.service(GenerationService);
  expect((await generation.generateText({ prompt: "hi" })).text).toBe("HI");
  const events = await all<StreamGenerateTextResponse>(generation.streamGenerateText({ prompt: "hi" }));
  expect(events.map(({ event }) => event.case)).toEqual(["textDelta", "finished"]);
});

test("errors of such a service are ParleyErrors, also in the middle of a stream", async () => {
  const refusal = parleyError(Code.ResourceExhausted, "ERROR_REASON_TOO_MANY_TURNS");
  const parley = client(({ service }: ConnectRouter) =>
    service(GenerationService, {
      generateText: () => {
        throw refusal;
      },
      async *streamGenerateText() {
        yield { event: { case: "textDelta", value: "Hel" } };
        throw refusal;
      },
    }),
  );
  const generation = parley.service(GenerationService);
  const thrown = await generation.generateText({ prompt: "hi" }).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(ParleyError);
  const events: StreamGenerateTextResponse[] = [];
  const broken = (async () => {
    for await (const event of generation.streamGenerateText({ prompt: "hi" })) events.push(event);
  })();
  const reason: unknown = await broken.catch((error: unknown) => error);
  expect(reason).toBeInstanceOf(ParleyError);
  expect((reason as ParleyError).reason).toBe(ErrorReason.TOO_MANY_TURNS);
  expect(events).toHaveLength(1);
});
