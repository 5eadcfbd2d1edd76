"""The way to one OpenAI-compatible server, with the `openai` package.

The package gives the base URL, the headers and the HTTP client with its aiohttp transport. Its own calls are not used: they
build an object of pydantic per token and spend 2 ms on each request, which bodies that are read raw do not (README.md, "Reading
the provider"). What the bodies mean is said by who uses this.
"""

from __future__ import annotations

import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient

from parley_inference.adapters.provider_connection import Endpoint, ProviderConnection, http_limits

_PLACEHOLDER_KEY = "none"


class OpenAIConnection(ProviderConnection):
    """A pool of connections to one server. Made inside of a running event loop; `close` it at the end."""

    def __init__(self, endpoint: Endpoint) -> None:
        # No redirects: credentials go to the configured host or nowhere. No time limit on reads: those are the callers'.
        http = DefaultAioHttpClient(
            limits=http_limits(),
            follow_redirects=False,
            timeout=httpx2.Timeout(None, connect=endpoint.connect_seconds),
        )
        client = AsyncOpenAI(
            api_key=endpoint.api_key or _PLACEHOLDER_KEY,
            base_url=endpoint.base_url,
            http_client=http,
            max_retries=0,
        )
        headers = {name: value for name, value in client.default_headers.items() if isinstance(value, str)}
        if endpoint.api_key:
            headers |= client.auth_headers
        else:
            # Whoever needs no key is not OpenAI, and the account that the package finds in the environment is not its business.
            headers = {name: value for name, value in headers.items() if not name.startswith("OpenAI-")}
        super().__init__(endpoint, http, headers)
