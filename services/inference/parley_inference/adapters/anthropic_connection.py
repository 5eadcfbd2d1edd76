"""The way to a server of Anthropic's Messages API, with the `anthropic` package.

As with OpenAI, the package gives the headers, the version of the API among them, and the HTTP client with its aiohttp transport. Its own
calls, with their retries and objects of pydantic, are not used (README.md, "Reading the provider").
"""

from __future__ import annotations

from anthropic import AsyncAnthropic, DefaultAioHttpClient, Timeout

from parley_inference.adapters.provider_connection import Endpoint, ProviderConnection, http_limits

_OWN_HOST = "api.anthropic.com"
_PLACEHOLDER_KEY = "none"
_HEADERS = ("accept", "content-type", "user-agent", "anthropic-version", "x-stainless-")
"""How the names of the package's headers begin that are sent. Others come from the environment, which is read in `settings.py` only."""


class AnthropicConnection(ProviderConnection):
    """A pool of connections to one server. Made inside of a running event loop; `close` it at the end."""

    def __init__(self, endpoint: Endpoint) -> None:
        # No redirects: credentials go to the configured host or nowhere. No time limit on reads: those are the callers'.
        http = DefaultAioHttpClient(
            limits=http_limits(),
            follow_redirects=False,
            timeout=Timeout(None, connect=endpoint.connect_seconds),
        )
        # With a key the package looks for credentials nowhere else: not in profiles on the disk, not in the environment.
        client = AsyncAnthropic(
            api_key=endpoint.api_key or _PLACEHOLDER_KEY,
            base_url=endpoint.base_url,
            http_client=http,
            max_retries=0,
        )
        headers = {
            name: value
            for name, value in client.default_headers.items()
            if isinstance(value, str) and name.lower().startswith(_HEADERS)
        }
        if endpoint.api_key:
            headers |= client.auth_headers
            if client.base_url.host != _OWN_HOST:
                # The package says it in `Authorization`; gateways and compatible servers are found that read only the older header.
                headers["x-api-key"] = endpoint.api_key
        super().__init__(endpoint, http, headers)
