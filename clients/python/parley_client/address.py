"""Where Parley is: what people write for an address, and what gRPC wants to hear.

It resolves nothing and opens nothing.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_GRPC_NAMES = ("dns:///", "dns://", "ipv4:", "ipv6:", "unix:", "unix-abstract:")


class AddressError(ValueError):
    """What was given is no address. The message is a sentence for a person."""


@dataclass(frozen=True)
class Address:
    """An address that was understood."""

    target: str
    """What a gRPC channel is opened to, for example `127.0.0.1:8080`."""
    secure: bool | None
    """True for `https://`, False for `http://`, None when the address does not say."""

    @property
    def loopback(self) -> bool:
        """Whether the address surely stays on this machine."""
        if self.target.startswith("unix"):
            return True
        host = self.target.rsplit("/", 1)[-1].rsplit(":", 1)[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def parse_address(text: str) -> Address:
    """Understands `host:port`, `http://host:port`, `https://host[:port]` and gRPC's own names (`dns:///…`, `unix:…`).

    Raises AddressError.
    """
    text = text.strip()
    if text.startswith(_GRPC_NAMES):
        return Address(target=text, secure=None)
    if "://" not in text:
        parts = _split(f"//{text}", text)
        if parts.port is None:
            raise AddressError(f"{text!r} names no port: write host:port, or an http:// or https:// address")
        return Address(target=parts.netloc, secure=None)
    parts = _split(text, text)
    if parts.scheme not in {"http", "https"}:
        raise AddressError(f"{text!r} is neither an http:// nor an https:// address")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return Address(target=f"{host}:{port}", secure=secure)


def _split(url: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise AddressError(f"{text!r} is not an address: {error}") from error
    if not parts.hostname or parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise AddressError(
            f"{text!r} is not an address: write host:port, or an http:// or https:// address with no path"
        )
    return parts
