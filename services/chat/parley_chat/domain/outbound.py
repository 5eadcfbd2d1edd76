"""What may be asked over HTTP of an address that a user names: which URLs, which addresses of the network, and how it fails.

Not the asking: that is an adapter's, and it judges each address at the moment of connecting, after the name was resolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from parley_chat.domain.errors import ChatError

MOST_URL_CHARACTERS = 2048
_USUAL_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT, _LAST_PORT = 1024, 65_535
_MOST_HOST_CHARACTERS = 253
_NOT_OF_A_HOST = frozenset(' %<>"{}|^`')

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Refusal(StrEnum):
    """Why nothing is asked of a URL."""

    URL = "url"
    """It is no absolute URL of a host, or longer than 2,048 characters, or has characters that no URL has."""
    SCHEME = "scheme"
    """It is not https; http is asked only where private addresses are allowed."""
    CREDENTIALS = "credentials"
    """It has a user or a password before its host, which would show wherever the URL is shown."""
    PORT = "port"
    """Its port is neither 80, 443, nor 1024 or more."""
    ADDRESS = "address"
    """Its host is, or resolves to, an address that is not a public one."""


class Trouble(StrEnum):
    """Why a remote server did not answer."""

    NAME = "name"
    """No such host."""
    CONNECT = "connect"
    """Nobody listens there, or the network does not lead there."""
    TLS = "tls"
    """Its certificate is not valid for its name, or it does not speak TLS."""
    TIMEOUT = "timeout"
    """It took too long."""
    BROKEN = "broken"
    """It broke off, or what it sent is not HTTP, or cannot be decompressed."""
    REDIRECTS = "redirects"
    """It sent from one place to another more often than is followed."""


class OutboundError(ChatError):
    """A remote server that a user has named could not be asked, or not answered in full."""


class AddressRefusedError(OutboundError):
    """Nothing was sent: the address is not one that is asked. Trying again changes nothing unless the host's addresses do."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"address refused: {refusal.value}")
        self.refusal = refusal


class RemoteUnreachableError(OutboundError):
    """The server did not answer, or not as HTTP does. It may at another time."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"remote unreachable: {trouble.value}")
        self.trouble = trouble


class RemoteTooLargeError(OutboundError):
    """The answer is longer than it may be, after decompression."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__("remote answer too large")
        self.most_bytes = most_bytes


@dataclass(frozen=True)
class OutboundRules:
    """What this installation allows."""

    private_addresses: bool = False
    """Whether addresses of the own machine and of private networks are asked, and http with them. Link-local, multicast and the metadata
    addresses of clouds are never asked."""


def check_url(url: str, rules: OutboundRules) -> None:
    """Raises AddressRefusedError for a URL that is refused whatever its host resolves to. Resolves nothing."""
    if not url or len(url) > MOST_URL_CHARACTERS or not all(character > " " for character in url) or "\\" in url:
        raise AddressRefusedError(Refusal.URL)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressRefusedError(Refusal.URL) from None
    if not parts.scheme or not host or len(host) > _MOST_HOST_CHARACTERS:
        raise AddressRefusedError(Refusal.URL)
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError(Refusal.CREDENTIALS)
    check_place(parts.scheme, host, default_port(parts.scheme) if port is None else port, rules)


def default_port(scheme: str) -> int:
    """The port of a URL that names none."""
    return 80 if scheme == "http" else 443


def check_place(scheme: str, host: str, port: int, rules: OutboundRules) -> None:
    """Raises AddressRefusedError for a scheme, a port, or a host that is refused whatever it resolves to."""
    if scheme != "https" and not (scheme == "http" and rules.private_addresses):
        raise AddressRefusedError(Refusal.SCHEME)
    if any(character in _NOT_OF_A_HOST for character in host):
        raise AddressRefusedError(Refusal.URL)
    if port not in _USUAL_PORTS and not _FIRST_FREE_PORT <= port <= _LAST_PORT:
        raise AddressRefusedError(Refusal.PORT)
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        if not rules.private_addresses and _is_local_name(host):
            raise AddressRefusedError(Refusal.ADDRESS) from None
    else:
        check_ip_address(address, rules)


def check_ip_address(address: Address, rules: OutboundRules) -> None:
    """Raises AddressRefusedError for an address of the network that is not asked."""
    never = address != _LOOPBACK and _is_in(_NEVER, address)
    if never or (not rules.private_addresses and not _is_public(address)):
        raise AddressRefusedError(Refusal.ADDRESS)


def _is_local_name(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))


def _is_public(address: Address) -> bool:
    # Python's own tables differ from release to release; the table below does not.
    return address.is_global and not address.is_reserved and not _is_in(_PRIVATE, address)


def _is_in(networks: tuple[Network, ...], address: Address) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _networks(*written: str) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in written)


_NEVER = _networks(
    "0.0.0.0/8",  # "This host": connecting to it reaches the own machine.
    "168.63.129.16/32",  # Azure's metadata.
    "169.254.0.0/16",  # Link-local, with the metadata of most clouds.
    "192.0.0.192/32",  # Oracle's metadata.
    "100.100.100.200/32",  # Alibaba's metadata.
    "224.0.0.0/4",  # Multicast.
    "240.0.0.0/4",  # Reserved, with the broadcast address.
    "::/128",  # Unspecified: connecting to it reaches the own machine.
    "::/96",  # IPv4 in IPv6, outdated; ::1 is let through below.
    "::ffff:0:0/96",  # IPv4-mapped.
    "::ffff:0:0:0/96",  # IPv4-translated.
    "64:ff9b::/96",  # NAT64: another way to any IPv4 address.
    "64:ff9b:1::/48",  # NAT64 of a network's own.
    "100::/64",  # Discard.
    "2001::/32",  # Teredo.
    "2002::/16",  # 6to4.
    "fd00:ec2::254/128",  # Amazon's metadata.
    "fe80::/10",  # Link-local.
    "fec0::/10",  # Site-local, outdated.
    "ff00::/8",  # Multicast.
)
_PRIVATE = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",  # Carrier-grade NAT.
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "::1/128",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
)
_LOOPBACK = ip_address("::1")
