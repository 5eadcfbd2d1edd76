"""An upstream that speaks the OpenAI HTTP API on a real socket: chat completions, embeddings, models.

In a test: `async with FakeOpenAI() as upstream:` and point `OPENAI_BASE_URL` at `upstream.base_url`. Beside a mesh or a bench:
`PYTHONPATH=tests/support python -m parley_testing.fake_openai --port 0 --tokens-per-second 50`, which prints its base URL.

It writes HTTP by hand, because what it is for is misbehaving: breaking off, stalling, cutting characters in two, and knowing
exactly which connections are open. It is no model; of what is sent it checks what OpenAI checks of pictures and of the schema of an
answer, and refuses it in OpenAI's words.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

WAIT_SECONDS = 20.0
"""How long `wait_for` waits before it says that the condition never came."""


def numbered_words(count: int) -> tuple[str, ...]:
    """`count` pieces, "word1 ", "word2 ", …: whoever reads them joined sees at once what is missing or doubled."""
    return tuple(f"word{number} " for number in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class FakeToolCall:
    """A tool call in a scripted reply."""

    name: str
    arguments: str = "{}"
    """JSON text. Sent in fragments of seven characters."""
    call_id: str = "call_1"


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request is answered with. The default: two hundred numbered words, at full speed."""

    pieces: Sequence[str] = numbered_words(200)
    """The text, one delta each."""
    reasoning: Sequence[str] = ()
    """The reasoning, one delta each, before the text."""
    reasoning_field: str = "reasoning_content"
    tool_calls: Sequence[FakeToolCall] = ()
    """After the text."""
    repeats_beginning: bool = False
    """Whether an answer that goes on with a beginning is sent from its very start."""
    finish_reason: str | None = None
    """By default `tool_calls` when there are some, else `stop`."""
    sends_finish: bool = True
    sends_done: bool = True
    sends_usage: bool = True
    input_tokens: int = 7
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    tokens_per_second: float = 0.0
    """0 is full speed: everything is written as fast as the socket takes it."""
    first_token_seconds: float = 0.0
    """How long to wait before the first delta, after the headers."""
    end_seconds: float = 0.0
    """How long to wait between the last event and the end of the body."""
    headers_seconds: float = 0.0
    """How long to wait before the response's headers."""
    break_off_after: int | None = None
    """Cut the connection after so many deltas."""
    resets: bool = False
    """Cut it with a reset, which may overtake what was written before."""
    stall_after: int | None = None
    """Send nothing more after so many deltas, and keep the connection open."""
    waits_after: int | None = None
    """After so many deltas, wait until `FakeOpenAI.go_on` is set: for tests that must not depend on who is faster."""
    keep_alives: bool = False
    """A comment line before each event, and empty `choices` once."""
    line_end: str = "\n"
    body: Sequence[bytes] | None = None
    """Written as the response's body, one write each, instead of all of the above."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    """The `error` object of the JSON body when `status` is not 200."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    """Parsed JSON; None when there was none."""


class _Reader(asyncio.StreamReader):
    """A reader that tells at once when the client has closed the connection, whether anybody reads or not."""

    def __init__(self) -> None:
        super().__init__(limit=16 * 1024 * 1024)
        self.left = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.left.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.left.set()


class FakeOpenAI:
    """The upstream. `base_url` is known once it is started."""

    def __init__(
        self,
        reply: Reply | None = None,
        *,
        models: Sequence[str] = ("fake-model",),
        port: int = 0,
        dimensions: int = 8,
    ) -> None:
        self.reply = reply or Reply()
        """What every request gets for which nothing was enqueued."""
        self.models = tuple(models)
        self.dimensions = dimensions
        self.requests: list[RecordedRequest] = []
        self.connections_opened = 0
        self.connections_open = 0
        self.streams_open = 0
        self.streams_cut = 0
        """Streamed replies that the client left before their end."""
        self.deltas_sent = 0
        self.go_on = asyncio.Event()
        """Lets the replies go on that wait. Set at first."""
        self.go_on.set()
        self.takes_schemas = True
        """Whether the server knows `response_format`; else it refuses it."""
        self.takes_prefill = True
        """Whether a request may end with the beginning of an answer; else it is refused."""
        self.hangs_up_on_reuse = False
        """Close a connection at its second request, unread: what is seen of a server that closed it in that moment for its idleness."""
        self.is_ollama = True
        """Whether it has Ollama's own list of models too, beside `/v1`."""
        self.embeddings_refusal: Reply | None = None
        """What every request for embeddings is answered with, while there is one. Lists of models are not."""
        self.embeddings_reversed = False
        """Send vectors in the opposite order; their `index` tells the right one."""
        self._port = port
        self._queue: list[Reply] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def base_url(self) -> str:
        """What `OPENAI_BASE_URL` is set to."""
        return f"http://127.0.0.1:{self.port}/v1"

    def enqueue(self, *replies: Reply) -> None:
        """Scripts the next requests, first come first served."""
        self._queue.extend(replies)

    async def wait_for(self, condition: Callable[[], bool], words: str = "the condition") -> None:
        """Waits until the condition holds. Raises TimeoutError when it never does."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not condition():  # noqa: ASYNC110 - counters have no event of their own; this is a test's wait.
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise TimeoutError(f"waited {WAIT_SECONDS:g} s for {words}") from None

    def close_connections(self) -> None:
        """Closes every connection, as servers do with those that are idle for too long."""
        for writer in self._writers:
            writer.close()

    async def start(self) -> None:
        """Listens."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: asyncio.StreamReaderProtocol(_Reader(), self._accept), "127.0.0.1", self._port
        )

    async def stop(self) -> None:
        """Closes every connection and stops listening."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert isinstance(reader, _Reader)
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections_opened += 1
        self.connections_open += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client left, or the fake is being stopped. asyncio would report a cancelled handler as an error.
            pass
        finally:
            self.connections_open -= 1
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        served = 0
        while (request := await _read_request(reader)) is not None:
            if self.hangs_up_on_reuse and served:
                return
            served += 1
            self.requests.append(request)
            if request.method == "POST" and request.path == "/v1/chat/completions":
                reply = self._queue.pop(0) if self._queue else self.reply
                if not self.takes_prefill and request.body["messages"][-1]["role"] == "assistant":
                    reply = Reply(status=400, error={"message": "The last message must not be the assistant's."})
                if (words := _fault_of(request.body, takes_schemas=self.takes_schemas)) is not None:
                    reply = Reply(status=400, error={"message": words, "type": "invalid_request_error"})
                if not await self._complete(request, reply, reader, writer):
                    return
            elif request.method == "POST" and request.path == "/v1/embeddings":
                reply = self.embeddings_refusal or (self._queue.pop(0) if self._queue else Reply())
                await self._embed(request, reply, writer)
            elif request.method == "GET" and request.path == "/v1/models":
                reply = self._queue.pop(0) if self._queue else Reply()
                if reply.headers_seconds and await _client_leaves(reader, reply.headers_seconds):
                    return
                models = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in self.models]
                await _send_json(writer, replace(reply, headers_seconds=0), {"object": "list", "data": models})
            elif request.method == "GET" and request.path == "/api/tags" and self.is_ollama:
                reply = self._queue.pop(0) if self._queue else Reply()
                if reply.headers_seconds and await _client_leaves(reader, reply.headers_seconds):
                    return
                tags = [{"name": name, "model": name, "size": 1, "details": {"family": "fake"}} for name in self.models]
                await _send_json(writer, replace(reply, headers_seconds=0), {"models": tags})
            else:
                await _send_json(writer, Reply(status=404, error={"message": f"no route {request.path}"}), {})

    async def _embed(self, request: RecordedRequest, reply: Reply, writer: asyncio.StreamWriter) -> None:
        texts = request.body["input"]
        texts = [texts] if isinstance(texts, str) else texts
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text, self.dimensions)}
            for index, text in enumerate(texts)
        ]
        if self.embeddings_reversed:
            data.reverse()
        body: dict[str, Any] = {"object": "list", "model": request.body["model"], "data": data}
        if reply.sends_usage:
            tokens = sum(len(text.split()) for text in texts)
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        await _send_json(writer, reply, body)

    async def _complete(
        self, request: RecordedRequest, reply: Reply, reader: _Reader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answers one chat completion; False when the connection ended with it."""
        if reply.status == 200 and request.body.get("stream"):
            if reply.headers_seconds and await _client_leaves(reader, reply.headers_seconds):
                self.streams_cut += 1
                return False
            return await self._stream(request.body, reply, reader, writer)
        await _send_json(writer, reply, _completion(request.body, reply))
        return True

    async def _stream(
        self, request: Mapping[str, Any], reply: Reply, reader: _Reader, writer: asyncio.StreamWriter
    ) -> bool:
        self.streams_open += 1
        leaving = asyncio.ensure_future(reader.left.wait())
        sending = asyncio.ensure_future(self._send_stream(request, reply, writer))
        try:
            await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self.streams_cut += 1
                return False
            return sending.result()
        except ConnectionError:
            self.streams_cut += 1
            return False
        finally:
            self.streams_open -= 1
            for task in (leaving, sending):
                task.cancel()
            await asyncio.gather(leaving, sending, return_exceptions=True)

    async def _send_stream(self, request: Mapping[str, Any], reply: Reply, writer: asyncio.StreamWriter) -> bool:
        _write_head(writer, 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **reply.headers})
        if reply.body is not None:
            for data in reply.body:
                _write_chunk(writer, data)
                await writer.drain()
                # Each write is to arrive as a read of its own, so that cuts in the middle of characters are real.
                await asyncio.sleep(0.002)
        else:
            async for data in self._paced(request, reply):
                _write_chunk(writer, data)
                await writer.drain()
        if reply.break_off_after is not None:
            if reply.resets:
                writer.transport.abort()
                return False
            # The end of the connection comes after all that was written, and once it was read: HTTP libraries drop what they have and
            # were not asked for yet when a body ends too early.
            await asyncio.sleep(BREAK_OFF_SECONDS)
            return False
        if reply.stall_after is not None:
            await asyncio.Event().wait()
        await asyncio.sleep(reply.end_seconds)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _paced(self, request: Mapping[str, Any], reply: Reply) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(reply.first_token_seconds)
        started = loop.time()
        limits = [limit for limit in (reply.break_off_after, reply.stall_after) if limit is not None]
        for number, event in enumerate(_events(request, reply)):
            if limits and number >= min(limits):
                return
            if number == reply.waits_after and not self.go_on.is_set():
                await self.go_on.wait()
                started = loop.time() - number / (reply.tokens_per_second or 1)
            # By the clock and not by steps, so that a long stream keeps its rate.
            if reply.tokens_per_second and (wait := started + number / reply.tokens_per_second - loop.time()) > 0:
                await asyncio.sleep(wait)
            self.deltas_sent += 1
            yield _encode(event, reply)
        for event in _closing_events(request, reply):
            yield _encode(event, reply)
        if reply.sends_done:
            yield f"data: [DONE]{reply.line_end * 2}".encode()


BREAK_OFF_SECONDS = 0.5
"""Between the last delta and the cut that a reply asks for."""

SYNONYMS = (
    "car automobile vehicle motorcar",
    "dog puppy hound canine",
    "cat kitten feline",
    "doctor physician surgeon medic",
    "buy purchase acquire",
    "money cash funds currency",
    "big large huge enormous",
    "fast quick rapid swift",
    "house home dwelling residence",
    "child kid youngster infant",
    "error failure fault defect",
    "begin start commence",
    "sea ocean",
    "ship boat vessel",
    "happy glad joyful cheerful",
)
"""Words that mean the same to the fake, as they do to a model: what it embeds can be found by them."""
_CONCEPTS = {word: group.split()[0] for group in SYNONYMS for word in group.split()}
_SMALL_WORDS = frozenset(
    {"a", "an", "and", "for", "in", "is", "it", "of", "on", "or", "that", "the", "to", "what", "with"}
)
_WORD = re.compile(r"\w+")
_GRAIN = 4096
"""Components are multiples of 1/4096, so that they stay the same in single precision."""


def vector_of(text: str, dimensions: int) -> list[float]:
    """The vector that the fake gives a text: the sum of one direction per word, the same one for words that mean the same.

    Always the same for the same text. Texts that share words or meanings are near each other from some 64 dimensions on.
    """
    total = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [text]:
        weight = 0.05 if word in _SMALL_WORDS else 1.0
        concept = _CONCEPTS.get(word) or _CONCEPTS.get(word.removesuffix("s"), word.removesuffix("s"))
        bits = hashlib.shake_128(concept.encode()).digest(dimensions)
        total = [sum_ + weight * (bit - 127.5) for sum_, bit in zip(total, bits, strict=True)]
    length = math.sqrt(sum(value * value for value in total))
    return [round(value / length * _GRAIN) / _GRAIN for value in total]


BEGINNINGS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
"""How the files of pictures begin, by their media types."""
_SCHEMA_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _fault_of(body: Mapping[str, Any], *, takes_schemas: bool) -> str | None:
    """What OpenAI would have against a request; None when it would take it."""
    for message in body["messages"]:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part["type"] == "image_url" and not _is_picture(part["image_url"]["url"]):
                return "You uploaded an unsupported image. Please make sure your image is valid."
    if (wanted := body.get("response_format")) is None:
        return None
    if not takes_schemas:
        return "response_format: Extra inputs are not permitted"
    if wanted.get("type") != "json_schema" or not _SCHEMA_NAME.fullmatch(wanted["json_schema"]["name"]):
        return "Invalid value: 'response_format'"
    if not wanted["json_schema"].get("strict"):
        return None
    waiting = [wanted["json_schema"]["schema"]]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        properties = one.get("properties", {})
        is_object = one.get("type") == "object"
        if is_object and (
            one.get("additionalProperties") is not False or set(one.get("required", ())) != set(properties)
        ):
            return "Invalid schema for response_format 'answer': In context=(), 'required' and 'additionalProperties' are required"
        waiting += [*properties.values(), one.get("items")]
    return None


def _is_picture(url: str) -> bool:
    head, _, data = url.partition(";base64,")
    kind = head.removeprefix("data:")
    return kind in BEGINNINGS and base64.b64decode(data, validate=True).startswith(BEGINNINGS[kind])


def _interrupted(request: Mapping[str, Any]) -> str:
    """The answer that the request asks to go on with: the assistant's message that is the last, or before the last."""
    for message in reversed((request.get("messages") or [])[-2:]):
        if message.get("role") == "assistant":
            return str(message.get("content") or "")
    return ""


def _pieces_after(text: str, pieces: Sequence[str]) -> Sequence[str]:
    """What follows the text, when the pieces begin with it and do not end with it: as a model goes on that was interrupted."""
    end = 0
    for number, piece in enumerate(pieces[:-1] if text else (), start=1):
        if not text.startswith(piece, end):
            break
        end += len(piece)
        if end == len(text):
            return pieces[number:]
    return pieces


def _events(request: Mapping[str, Any], reply: Reply) -> list[dict[str, Any]]:
    """The deltas, one event each."""
    deltas: list[dict[str, Any]] = [{reply.reasoning_field: piece} for piece in reply.reasoning]
    interrupted = "" if reply.repeats_beginning else _interrupted(request)
    deltas += [{"content": piece} for piece in _pieces_after(interrupted, reply.pieces)]
    for index, call in enumerate(reply.tool_calls):
        head = {
            "index": index,
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        deltas.append({"tool_calls": [head]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": call.arguments[start : start + 7]}}]}
            for start in range(0, len(call.arguments), 7)
        ]
    return [_chunk(request, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]


def _closing_events(request: Mapping[str, Any], reply: Reply) -> list[dict[str, Any]]:
    events = []
    if reply.keep_alives:
        events.append(_chunk(request, []))
    if reply.sends_finish:
        events.append(_chunk(request, [{"index": 0, "delta": {}, "finish_reason": _finish_reason(reply)}]))
    if reply.sends_usage and (request.get("stream_options") or {}).get("include_usage"):
        events.append({**_chunk(request, []), "usage": _usage(reply)})
    return events


def _finish_reason(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _usage(reply: Reply) -> dict[str, Any]:
    output = len(reply.pieces) + len(reply.reasoning)
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": output,
        "total_tokens": reply.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": reply.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
    }


def _chunk(request: Mapping[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": request.get("model", ""),
        "choices": choices,
    }


def _completion(request: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.pieces)}
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.tool_calls
        ]
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": _finish_reason(reply)}],
        "usage": _usage(reply),
    }


def _encode(event: Mapping[str, Any], reply: Reply) -> bytes:
    comment = f": keep-alive{reply.line_end * 2}" if reply.keep_alives else ""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"{comment}data: {data}{reply.line_end * 2}".encode()


def _write_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Fake", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _send_json(writer: asyncio.StreamWriter, reply: Reply, body: Mapping[str, Any]) -> None:
    if reply.body is not None:
        data = b"".join(reply.body)
    else:
        data = json.dumps(body if reply.status == 200 else {"error": dict(reply.error or {})}).encode()
    if reply.headers_seconds:
        await asyncio.sleep(reply.headers_seconds)
    headers = {"content-type": "application/json", "content-length": str(len(data)), **reply.headers}
    _write_head(writer, reply.status, headers)
    writer.write(data)
    await writer.drain()


async def _client_leaves(reader: _Reader, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            return await reader.left.wait()
    except TimeoutError:
        return False


async def _read_request(reader: asyncio.StreamReader) -> RecordedRequest | None:
    """The next request of a connection; None when the client closed it."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    data = await reader.readexactly(int(headers.get("content-length", "0")))
    return RecordedRequest(method, path.partition("?")[0], headers, json.loads(data) if data else None)


async def _run(port: int, reply: Reply, models: Sequence[str], dimensions: int) -> None:
    async with FakeOpenAI(reply, models=models, port=port, dimensions=dimensions) as upstream:
        print(upstream.base_url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Runs the fake as a process until it is interrupted."""
    parser = argparse.ArgumentParser(description="An upstream that speaks the OpenAI API, for tests and benches.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--tokens-per-second", type=float, default=0.0, help="per stream; 0 is full speed")
    parser.add_argument("--text", default="", help="the answer, a word a token; numbered words by default")
    parser.add_argument("--words", type=int, default=200, help="how many numbered words")
    parser.add_argument("--first-token-seconds", type=float, default=0.0, help="the wait before the first token")
    parser.add_argument("--model", action="append", help="a model to list; fake-model by default")
    parser.add_argument("--dimensions", type=int, default=8, help="of embeddings")
    arguments = parser.parse_args()
    pieces = tuple(f"{word} " for word in arguments.text.split()) or numbered_words(arguments.words)
    reply = replace(
        Reply(),
        pieces=pieces,
        tokens_per_second=arguments.tokens_per_second,
        first_token_seconds=arguments.first_token_seconds,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments.port, reply, arguments.model or ("fake-model",), arguments.dimensions))


if __name__ == "__main__":
    main()
