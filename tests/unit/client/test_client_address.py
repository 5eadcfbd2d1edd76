"""What people write for an address."""

from __future__ import annotations

import pytest
from parley_client.address import parse_address


@pytest.mark.parametrize(
    ("text", "target", "secure", "loopback"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080", None, True),
        ("localhost:8080", "localhost:8080", None, True),
        (" parley.example:8080 ", "parley.example:8080", None, False),
        ("[::1]:8080", "[::1]:8080", None, True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", False, True),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080", False, True),
        ("http://parley.example", "parley.example:80", False, False),
        ("https://parley.example", "parley.example:443", True, False),
        ("https://[2001:db8::1]:9", "[2001:db8::1]:9", True, False),
        ("dns:///parley.example:50051", "dns:///parley.example:50051", None, False),
        ("unix:/run/parley.sock", "unix:/run/parley.sock", None, True),
    ],
)
def test_an_address_is_understood(text: str, target: str, secure: bool | None, loopback: bool) -> None:
    address = parse_address(text)
    assert (address.target, address.secure, address.loopback) == (target, secure, loopback)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "parley",
        "parley.example",
        ":8080",
        "host:port",
        "host:99999",
        "ftp://host:1",
        "http://",
        "http://h/path",
        "http://u:p@h:1",
        "h:1?x=1",
    ],
)
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        parse_address(text)
