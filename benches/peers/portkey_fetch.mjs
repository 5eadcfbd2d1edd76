// Loaded before the Portkey gateway: it adds headers to what `fetch` gave it, which Node 20 takes as immutable and refuses with an error.
// A copy of the response around the same body costs something per answer and nothing per token.

const fetched = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const response = await fetched(...request);
  return new Response(response.body, response);
};
