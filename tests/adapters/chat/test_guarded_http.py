"""The way out to servers that users name, against real servers that lie, stall and send too much."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from parley_chat.adapters.guarded_http import GuardedClient, GuardedHttp, OutboundLimits, Resolver
from parley_chat.domain.outbound import (
    AddressRefusedError,
    OutboundRules,
    Refusal,
    RemoteTooLargeError,
    RemoteUnreachableError,
    Trouble,
)
from parley_testing.remote_server import Answer, Answering, Asked, RemoteServer

LAPTOP = OutboundRules(private_addresses=True)
# Generous: only the tests of time limits have short ones, and those wait for nothing but their end.
PATIENT = OutboundLimits(connect_seconds=30, read_seconds=30, total_seconds=60)


class Names:
    """A resolver that says what it is told, and remembers what it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return answer


@asynccontextmanager
async def open_client(
    limits: OutboundLimits = PATIENT,
    rules: OutboundRules = LAPTOP,
    resolver: Resolver | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[GuardedClient]:
    """A client of a way out of its own."""
    outbound = GuardedHttp(rules, resolver=resolver, ssl_context=tls)
    try:
        async with outbound.client(limits) as client:
            yield client
    finally:
        await outbound.close()


def always(answer: Answer) -> Answering:
    """The same for every request."""
    return lambda asked: answer


async def test_a_server_that_may_be_asked_answers() -> None:
    async with RemoteServer(always(Answer(200, b"hello", {"X-A": "b"}))) as remote, open_client() as client:
        response = await client.post(remote.url("/feed?a=b"), content=b"what", headers={"X-Mine": "1"})
        assert (response.status_code, response.content, response.headers["X-A"]) == (200, b"hello", "b")
        (asked,) = remote.asked
        assert (asked.method, asked.target, asked.body, asked.headers["x-mine"]) == ("POST", "/feed?a=b", b"what", "1")
        assert asked.headers["host"] == f"127.0.0.1:{remote.port}"


async def test_no_url_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with RemoteServer(always(Answer(200))) as remote, open_client() as client:
        await client.get(remote.url("/private-5f3a/feed"))
    assert "private-5f3a" not in caplog.text


async def test_a_status_that_is_no_success_is_an_answer() -> None:
    async with RemoteServer(always(Answer(404, b"no"))) as remote, open_client() as client:
        assert (await client.get(remote.url())).status_code == 404


async def test_a_private_address_is_not_even_connected_to() -> None:
    async with RemoteServer(always(Answer())) as remote, open_client(rules=OutboundRules()) as client:
        for host in ("127.0.0.1", "localhost", "2130706433"):
            with pytest.raises(AddressRefusedError) as caught:
                await client.get(f"https://{host}:{remote.port}/")
            assert caught.value.refusal is Refusal.ADDRESS
        assert remote.connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1%eth0", "10.1.2.3"])
async def test_a_name_that_leads_to_an_address_that_is_not_public_is_refused(address: str) -> None:
    names = Names([address])
    async with RemoteServer(always(Answer())) as remote, open_client(rules=OutboundRules(), resolver=names) as client:
        with pytest.raises(AddressRefusedError) as caught:
            await client.get(f"https://feeds.example.com:{remote.port}/")
        assert caught.value.refusal is Refusal.ADDRESS
        assert remote.connections == 0


async def test_one_refused_address_among_others_refuses_the_name() -> None:
    names = Names(["93.184.215.14", "127.0.0.1"])
    async with RemoteServer(always(Answer())) as remote, open_client(rules=OutboundRules(), resolver=names) as client:
        with pytest.raises(AddressRefusedError):
            await client.get(f"https://feeds.example.com:{remote.port}/")
        assert remote.connections == 0


async def test_a_name_is_resolved_once_and_the_connection_goes_where_was_looked() -> None:
    """Rebinding: the second answer of the name server, a refused address, is never asked for."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with RemoteServer(always(Answer(200, b"first"))) as remote, open_client(resolver=names) as client:
        url = remote.url(host="rebinding.example.com")
        assert (await client.get(url)).content == b"first"
        assert names.asked == [("rebinding.example.com", remote.port)]
        assert remote.asked[0].headers["host"] == f"rebinding.example.com:{remote.port}"


async def test_a_name_that_changes_is_judged_anew_for_the_next_connection() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    answering = always(Answer(200, b"first", has_length=False))
    async with RemoteServer(answering) as remote, open_client(resolver=names) as client:
        url = remote.url(host="rebinding.example.com")
        assert (await client.get(url)).content == b"first"
        with pytest.raises(AddressRefusedError):
            await client.get(url)
        assert len(remote.asked) == 1


async def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    async with RemoteServer(always(Answer(200, b"second"))) as remote, open_client(resolver=names) as client:
        assert (await client.get(remote.url(host="two.example.com"))).content == b"second"


async def test_a_name_that_nobody_knows_is_said_to_be_one() -> None:
    async with open_client(resolver=Names([])) as client:
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get("https://nowhere.example.com/")
        assert caught.value.trouble is Trouble.NAME


async def test_a_port_where_nobody_listens_is_said_to_be_one() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with open_client() as client:
            with pytest.raises(RemoteUnreachableError) as caught:
                await client.get(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert caught.value.trouble is Trouble.CONNECT


async def test_http_is_refused_where_private_addresses_are() -> None:
    async with open_client(rules=OutboundRules(), resolver=Names(["1.1.1.1"])) as client:
        with pytest.raises(AddressRefusedError) as caught:
            await client.get("http://example.com/")
        assert caught.value.refusal is Refusal.SCHEME


@pytest.mark.parametrize(
    "url", ["https://", "https://exa mple.com/", "https://example.com:99999/", "nonsense", "https://\x00/"]
)
async def test_what_is_no_url_is_refused(url: str) -> None:
    async with open_client(resolver=Names([])) as client:
        with pytest.raises(AddressRefusedError):
            await client.get(url)


async def test_a_password_in_a_url_is_refused() -> None:
    async with RemoteServer(always(Answer())) as remote, open_client() as client:
        with pytest.raises(AddressRefusedError) as caught:
            await client.get(f"http://user:secret@127.0.0.1:{remote.port}/")
        assert caught.value.refusal is Refusal.CREDENTIALS
        assert remote.connections == 0


# ---- Redirects.


def redirect(to: str) -> Answer:
    """A redirect."""
    return Answer(302, headers={"Location": to})


async def test_a_redirect_is_an_answer_unless_redirects_are_followed() -> None:
    async with RemoteServer(always(redirect("/elsewhere"))) as remote, open_client() as client:
        assert (await client.get(remote.url())).status_code == 302
        assert len(remote.asked) == 1


async def test_redirects_are_followed_as_often_as_is_allowed_and_no_further() -> None:
    def answering(asked: Asked) -> Answer:
        left = int(asked.target[1:])
        return redirect(f"/{left - 1}") if left else Answer(200, b"there")

    limits = OutboundLimits(redirects=50)
    async with RemoteServer(answering) as remote, open_client(limits) as client:
        assert (await client.get(remote.url("/3"))).content == b"there"
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get(remote.url("/4"))
        assert caught.value.trouble is Trouble.REDIRECTS


@pytest.mark.parametrize(
    "to",
    [
        "http://[half",
        "http://169.254.169.254/latest",
        "http://inside.example.com/",
        "ftp://example.com/",
        "http://127.0.0.1:22/",
    ],
)
async def test_each_hop_of_a_redirect_is_judged(to: str) -> None:
    names = Names(["169.254.169.254"])
    async with (
        RemoteServer(always(redirect(to))) as remote,
        open_client(OutboundLimits(redirects=3), resolver=_only_for("inside.example.com", names)) as client,
    ):
        with pytest.raises(AddressRefusedError):
            await client.get(remote.url())


def _only_for(host: str, names: Names) -> Resolver:
    async def resolve(asked: str, port: int) -> Sequence[str]:
        return await names(asked, port) if asked == host else [asked]

    return resolve


async def test_credentials_do_not_go_along_to_another_origin() -> None:
    async with RemoteServer(always(Answer(200))) as other, RemoteServer(lambda _: redirect(other.url())) as remote:
        async with open_client(OutboundLimits(redirects=1)) as client:
            await client.get(remote.url(), auth=("user", "secret"))
        assert "authorization" in remote.asked[0].headers
        assert "authorization" not in other.asked[0].headers


async def test_no_cookie_is_kept() -> None:
    answering = always(Answer(200, headers={"Set-Cookie": "who=me; Path=/"}))
    async with RemoteServer(answering) as remote, open_client() as client:
        await client.get(remote.url())
        await client.get(remote.url())
        assert "cookie" not in remote.asked[1].headers


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RemoteServer(always(Answer())) as proxy, RemoteServer(always(Answer(200, b"direct"))) as remote:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        async with open_client() as client:
            assert (await client.get(remote.url())).content == b"direct"
        assert proxy.connections == 0


# ---- Bounds.


async def test_an_answer_that_says_it_is_too_long_is_not_read() -> None:
    async with (
        RemoteServer(always(Answer(200, b"x" * 1001, stalls=True))) as remote,
        open_client(OutboundLimits(body_bytes=1000)) as client,
    ):
        with pytest.raises(RemoteTooLargeError) as caught:
            await client.get(remote.url())
        assert caught.value.most_bytes == 1000


async def test_an_answer_that_does_not_say_its_length_is_cut_off() -> None:
    async with (
        RemoteServer(always(Answer(200, b"x" * 1001, has_length=False))) as remote,
        open_client(OutboundLimits(body_bytes=1000)) as client,
    ):
        with pytest.raises(RemoteTooLargeError):
            await client.get(remote.url())


async def test_an_answer_of_just_the_size_is_whole() -> None:
    async with (
        RemoteServer(always(Answer(200, b"x" * 1000))) as remote,
        open_client(OutboundLimits(body_bytes=1000)) as client,
    ):
        assert len((await client.get(remote.url())).content) == 1000


@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [
        ("gzip", gzip.compress(b"hello" * 1000)),
        ("deflate", zlib.compress(b"hello" * 1000)),
        ("identity", b"hello" * 1000),
    ],
)
async def test_an_answer_is_decompressed(encoding: str, compressed: bytes) -> None:
    answering = always(Answer(200, compressed, {"Content-Encoding": encoding}))
    async with RemoteServer(answering) as remote, open_client() as client:
        assert (await client.get(remote.url())).content == b"hello" * 1000
        assert remote.asked[0].headers["accept-encoding"] == "gzip"


async def test_a_small_answer_that_decompresses_to_very_much_is_cut_off() -> None:
    bomb = gzip.compress(bytes(50_000_000), compresslevel=1)
    answering = always(Answer(200, bomb, {"Content-Encoding": "gzip"}))
    async with RemoteServer(answering) as remote, open_client(OutboundLimits(body_bytes=1_000_000)) as client:
        with pytest.raises(RemoteTooLargeError):
            await client.get(remote.url())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
        Answer(raw=b""),
        Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        Answer(200, b"not compressed", {"Content-Encoding": "gzip"}),
        Answer(200, gzip.compress(b"hello" * 1000)[:-20], {"Content-Encoding": "gzip"}),
        Answer(200, b"whatever", {"Content-Encoding": "br"}),
    ],
)
async def test_what_is_broken_is_said_to_be(answer: Answer) -> None:
    async with RemoteServer(always(answer)) as remote, open_client(OutboundLimits(redirects=1)) as client:
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get(remote.url())
        assert caught.value.trouble is Trouble.BROKEN


@pytest.mark.parametrize(
    ("answer", "limits"),
    [
        (Answer(200, b"never whole", stalls=True), OutboundLimits(read_seconds=0.2)),
        (Answer(200, b"never whole", stalls=True), OutboundLimits(total_seconds=0.2)),
    ],
)
async def test_a_server_that_stalls_is_left(answer: Answer, limits: OutboundLimits) -> None:
    async with RemoteServer(always(answer)) as remote, open_client(limits) as client:
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get(remote.url())
        assert caught.value.trouble is Trouble.TIMEOUT


async def test_a_server_that_sends_a_little_again_and_again_is_left_too() -> None:
    """Each piece comes in time, and the whole never would."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while not writer.is_closing():
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server, open_client(OutboundLimits(read_seconds=30, total_seconds=0.5)) as client:
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        assert caught.value.trouble is Trouble.TIMEOUT


async def test_a_name_server_that_is_silent_is_left() -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with open_client(OutboundLimits(connect_seconds=0.2), resolver=silent) as client:
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get("https://slow.example.com/")
        assert caught.value.trouble is Trouble.TIMEOUT


async def test_a_stream_is_bounded_as_it_is_read() -> None:
    async with (
        RemoteServer(always(Answer(200, b"x" * 300_000, has_length=False))) as remote,
        open_client(OutboundLimits(body_bytes=100_000)) as client,
        client.stream("GET", remote.url()) as response,
    ):
        with pytest.raises(RemoteTooLargeError):
            async for _ in response.aiter_bytes():
                pass


# ---- TLS.


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The context of a server with a certificate for a name, and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())


async def test_tls_and_the_host_keep_the_name_though_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    server_tls, client_tls = certificates(tmp_path, "feeds.example.com")
    told: list[str | None] = []
    server_tls.sni_callback = lambda connection, name, context: told.append(name)
    async with (
        RemoteServer(always(Answer(200, b"safe")), server_tls) as remote,
        open_client(resolver=Names(["127.0.0.1"]), tls=client_tls) as client,
    ):
        assert (await client.get(remote.url(host="feeds.example.com"))).content == b"safe"
        assert told == ["feeds.example.com"]
        assert remote.asked[0].headers["host"] == f"feeds.example.com:{remote.port}"
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get(remote.url(host="other.example.com"))
        assert caught.value.trouble is Trouble.TLS


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    server_tls, _ = certificates(tmp_path, "feeds.example.com")
    async with (
        RemoteServer(always(Answer(200, b"unsafe")), server_tls) as remote,
        open_client(resolver=Names(["127.0.0.1"])) as client,
    ):
        with pytest.raises(RemoteUnreachableError) as caught:
            await client.get(remote.url(host="feeds.example.com"))
        assert caught.value.trouble is Trouble.TLS
        assert remote.asked == []
