// The usual hybrid: a web backend in Node that speaks Socket.IO with the browser, in front of FastAPI + SSE. Written as one would write
// it: the parsed events of the model's service are emitted one by one. It has no users, no storage and no resume.
//
//   node hybrid.mjs PORT http://127.0.0.1:FASTAPI_PORT

import { createServer } from "node:http";
import { createRequire } from "node:module";
import process from "node:process";

// Its packages are installed beside the other peers', not beside this file.
const { Server } = createRequire(`${process.env.BENCH_NODE_MODULES}/`)("socket.io");

const [port, modelService] = process.argv.slice(2);
const http = createServer((_, response) => response.end("ok"));
const io = new Server(http);

io.on("connection", (socket) => {
  const closing = new AbortController();
  socket.on("disconnect", () => closing.abort());
  socket.on("chat", async ({ message }) => {
    try {
      const response = await fetch(`${modelService}/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ message }),
        signal: closing.signal,
      });
      let rest = "";
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        const events = (rest + text).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const data = event.slice("data: ".length);
          if (data !== "[DONE]") socket.emit("token", JSON.parse(data));
        }
      }
      socket.emit("done", {});
    } catch (error) {
      if (!closing.signal.aborted) socket.emit("failed", { message: String(error) });
    }
  });
});

http.listen(Number(port), "127.0.0.1");
