/** What the stand-in answers, and the document that it cites. */

export const PASSAGES = [
  "A provider is one adapter file in `services/inference/parley_inference/adapters/`, named for the technology and the port: `anthropic_model.py`. It implements the port `language_model`, which has two methods.",
  "Anything that speaks the OpenAI protocol needs no adapter at all: set `OPENAI_BASE_URL` and `OPENAI_API_KEY`, and restart.",
  "| variable | meaning |\n| --- | --- |\n| `OPENAI_BASE_URL` | where the provider is |\n| `OPENAI_API_KEY` | the key that it wants |",
];

export const DOCUMENT = `# Inference 🧭

Talks to models, and to nothing else. Keeps no state between calls.

## Providers

${PASSAGES[0]}

The suite in \`tests/adapters\` holds every adapter to the same behaviour: streaming, cancellation, usage, errors.

${PASSAGES[1]}

### Variables

${PASSAGES[2]}

## Models

An alias points to a model. The strong alias answers the enhanced route.

${"A longer paragraph, so that there is something to scroll through. ".repeat(30)}
`;

export const ANSWER = `There are two ways, and the first one needs **no code at all**.

### A provider that speaks the OpenAI protocol

Point Parley at it and restart [2]. That is all it takes for Ollama, vLLM, llama.cpp and most gateways:

\`\`\`bash
export OPENAI_BASE_URL=http://127.0.0.1:11434/v1
export OPENAI_API_KEY=unused   # Ollama wants none
make run
\`\`\`

| variable | meaning |
| --- | --- |
| \`OPENAI_BASE_URL\` | where the provider is [3] |
| \`OPENAI_API_KEY\` | the key that it wants [3] |

### A provider with a protocol of its own

1. Write one file in \`services/inference/parley_inference/adapters/\`, named for the technology and the port [1].
2. Implement the port \`language_model\`:

   \`\`\`python
   class AnthropicModel:
       """One provider, one file."""

       async def stream(self, request: GenerateRequest) -> AsyncIterator[Piece]:
           async for event in self._client.messages.stream(**wire(request)):
               yield Piece(text=event.delta.text)
   \`\`\`

3. Run the suite in \`tests/adapters\`: it holds every adapter to the same behaviour.

> The port has *two* methods, and neither knows anything of gRPC [1].

See [the decision record](https://example.com/decisions) for why. <script>alert(1)</script> ![a chart](https://example.com/chart.png)
`;
