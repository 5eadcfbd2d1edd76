// What OpenAI's Node package, as it is published, sees of Parley: printed as JSON for test_openai_door.py, which says what it ought to be.
import OpenAI from "openai";

const [baseURL, apiKey, model, embedder] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: "Say hello." }];

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status, error.code, error.param];
  }
  return null;
}

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

const whole = await client.chat.completions.create({ model, messages });
const streamed = await textOf(await client.chat.completions.create({ model, messages, stream: true }));

const tool = { type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } };
const called = await client.chat.completions.stream({ model, messages, tools: [tool] }).finalChatCompletion();
const { name, arguments: given } = called.choices[0].message.tool_calls[0].function;

let broken = null;
try {
  await textOf(await client.chat.completions.create({ model, messages, stream: true }));
} catch (error) {
  broken = [error.constructor.name, error.code];
}

const errors = {
  token: await refusal(() => new OpenAI({ baseURL, apiKey: "sk-of-somebody-else", maxRetries: 0 }).models.list()),
  model: await refusal(() => client.chat.completions.create({ model: "gpt-9", messages })),
  field: await refusal(() => client.chat.completions.create({ model, messages, temperature: 7 })),
  response: await refusal(() => client.responses.create({ model, input: "Hello.", instructions: "Be brief." })),
};

const vectors = await client.embeddings.create({ model: embedder, input: ["a ship", "a dog"] });
const models = [];
for await (const each of client.models.list()) models.push(each.id);

// A response whose stream is left in the middle and taken up behind the last event that came.
const events = [];
for await (const event of await client.responses.create({ model, input: "Say hello.", stream: true })) {
  events.push(event);
  if (event.type === "response.output_text.delta") break;
}
const id = events[0].response.id;
for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: events.at(-1).sequence_number })) events.push(event);
const response = events.at(-1).response;
const kept = await client.responses.retrieve(id);

console.log(
  JSON.stringify({
    whole: whole.choices[0].message.content,
    streamed,
    tool: { name, arguments: given },
    broken,
    errors,
    components: vectors.data[1].embedding.length,
    models,
    response: {
      status: response.status,
      text: kept.output_text,
      numbered: events.every((event, place) => event.sequence_number === place),
      kept: JSON.stringify(kept.output) === JSON.stringify(response.output),
    },
  }),
);
