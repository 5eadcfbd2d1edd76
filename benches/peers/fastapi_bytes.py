"""A pass-through: FastAPI that copies the provider's bytes to its caller and knows nothing of what they carry.

The least that a Python process in the middle can do. It has no users, no storage and no resume.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse


def make_app(base_url: str) -> FastAPI:
    """The app in front of one upstream."""
    app = FastAPI()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=1000)
    upstream = httpx.AsyncClient(limits=limits, timeout=600)

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> StreamingResponse:
        asked = upstream.build_request(
            "POST",
            f"{base_url}/chat/completions",
            content=await request.body(),
            headers={"content-type": "application/json"},
        )
        response = await upstream.send(asked, stream=True)

        async def copied() -> AsyncIterator[bytes]:
            try:
                async for data in response.aiter_raw():
                    yield data
            finally:
                await response.aclose()

        return StreamingResponse(copied(), response.status_code, media_type="text/event-stream")

    return app


def main() -> None:
    """Serves the app on loopback until it is told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True, help="base URL of the OpenAI-compatible upstream")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvicorn.run(
        make_app(arguments.upstream), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
