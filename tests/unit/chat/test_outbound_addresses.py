"""Which URLs and addresses that users name are asked, and which are refused before anything is sent."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from parley_chat.domain.outbound import AddressRefusedError, OutboundRules, Refusal, check_ip_address, check_url

STRICT = OutboundRules()
LAPTOP = OutboundRules(private_addresses=True)

PUBLIC = ("1.1.1.1", "93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450:4001:80e::200e")
PRIVATE = (
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.7",
    "::1",
    "fd12:3456::1",
    "2001:db8::1",
)
NEVER = (
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "2001::1",
    "2002:7f00:1::",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_asked(address: str) -> None:
    check_ip_address(ip_address(address), STRICT)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_asked_only_where_it_is_allowed(address: str) -> None:
    with pytest.raises(AddressRefusedError) as caught:
        check_ip_address(ip_address(address), STRICT)
    assert caught.value.refusal is Refusal.ADDRESS
    check_ip_address(ip_address(address), LAPTOP)


@pytest.mark.parametrize("rules", [STRICT, LAPTOP])
@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_asked(address: str, rules: OutboundRules) -> None:
    with pytest.raises(AddressRefusedError):
        check_ip_address(ip_address(address), rules)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/calendar.ics?key=1",
        "https://example.com:8443/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
    ],
)
def test_a_url_of_a_public_host_is_asked(url: str) -> None:
    check_url(url, STRICT)


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("", Refusal.URL),
        ("example.com/feed", Refusal.URL),
        ("//example.com/feed", Refusal.URL),
        ("https://", Refusal.URL),
        ("https:///feed", Refusal.URL),
        ("https://exa mple.com/", Refusal.URL),
        ("https://example.com/\r\nHost: other", Refusal.URL),
        ("https://example.com\\@other.com/", Refusal.URL),
        ("https://example.com:port/", Refusal.URL),
        ("https://[::1/", Refusal.URL),
        ("https://example.com/" + "a" * 2048, Refusal.URL),
        ("https://" + "a" * 254 + "/", Refusal.URL),
        ("http://example.com/", Refusal.SCHEME),
        ("ftp://example.com/", Refusal.SCHEME),
        ("file:/feed.ics", Refusal.URL),
        ("https://user:secret@example.com/", Refusal.CREDENTIALS),
        ("https://user@example.com/", Refusal.CREDENTIALS),
        ("https://example.com:22/", Refusal.PORT),
        ("https://example.com:25/", Refusal.PORT),
        ("https://127.0.0.1/", Refusal.ADDRESS),
        ("https://[::1]/", Refusal.ADDRESS),
        ("https://169.254.169.254/latest/meta-data", Refusal.ADDRESS),
        ("https://localhost/", Refusal.ADDRESS),
        ("https://LOCALHOST./", Refusal.ADDRESS),
        ("https://metadata.google.internal/", Refusal.ADDRESS),
    ],
)
def test_any_other_url_is_refused_and_the_reason_says_why(url: str, refusal: Refusal) -> None:
    with pytest.raises(AddressRefusedError) as caught:
        check_url(url, STRICT)
    assert caught.value.refusal is refusal


def test_where_private_addresses_are_allowed_http_is_too() -> None:
    check_url("http://127.0.0.1:5232/user/calendar/", LAPTOP)
    check_url("http://localhost:8080/", LAPTOP)
    with pytest.raises(AddressRefusedError):
        check_url("ftp://localhost:8080/", LAPTOP)
