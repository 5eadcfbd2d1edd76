"""The equivalent that Parley is compared with: one FastAPI process that streams an OpenAI-compatible upstream as SSE.

Written as one would write it: the `openai` package, an async generator, uvicorn. It has no users, no storage and no resume.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel


class Message(BaseModel):
    """What the user says."""

    message: str


def make_app(base_url: str) -> FastAPI:
    """The app in front of one upstream."""
    app = FastAPI()
    upstream = AsyncOpenAI(base_url=base_url, api_key="unused")

    @app.post("/chat")
    async def chat(body: Message) -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            stream = await upstream.chat.completions.create(
                model="fake-model", messages=[{"role": "user", "content": body.message}], stream=True
            )
            async for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    yield f"data: {json.dumps({'text': text})}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def main() -> None:
    """Serves the app on loopback until it is told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True, help="base URL of the OpenAI-compatible upstream")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvicorn.run(make_app(arguments.upstream), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
