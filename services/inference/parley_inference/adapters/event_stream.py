"""Server-sent events, from bytes as they arrive to the data of whole events. Knows nothing of what the data means.

Only `data` is given out: comments (which servers send to keep a connection open), `event`, `id` and `retry` are passed over.
"""

from __future__ import annotations

MOST_BYTES_OF_AN_EVENT = 8 * 1024 * 1024


class EventTooLargeError(Exception):
    """An event did not end within MOST_BYTES_OF_AN_EVENT."""


class EventStream:
    """Splits one response body. Reads may end anywhere: in a line end, in a character, in an event."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._ends_in_return = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that this read completes. Raises EventTooLargeError."""
        if b"\r" in data or self._ends_in_return:
            data = self._with_line_feeds(data)
        buffer = self._buffer
        buffer += data
        end = buffer.rfind(b"\n\n", self._searched)
        if end < 0:
            # The next read may begin with the second half of a blank line.
            self._searched = max(0, len(buffer) - 1)
            if len(buffer) > MOST_BYTES_OF_AN_EVENT:
                raise EventTooLargeError
            return []
        whole = bytes(buffer[:end])
        del buffer[: end + 2]
        self._searched = 0
        return _data_of_events(whole)

    def finish(self) -> list[bytes]:
        """The data of an event that the end of the body cut off before its blank line. Servers are found that leave it out."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return _data_of_events(rest)

    def _with_line_feeds(self, data: bytes) -> bytes:
        """Makes each CR LF, and each CR alone, one LF, also when a read ends between the two."""
        if self._ends_in_return and data.startswith(b"\n"):
            data = data[1:]
            self._ends_in_return = False
        if data:
            self._ends_in_return = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data_of_events(text: bytes) -> list[bytes]:
    found = []
    for event in text.split(b"\n\n"):
        # Nearly every event is one line of data.
        if event.startswith(b"data:") and b"\n" not in event:
            data = event[5:].strip()
        else:
            lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            data = b"\n".join(lines).strip()
        if data:
            found.append(data)
    return found
