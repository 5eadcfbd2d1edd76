"""What models took and cost: `parley.usage.v1`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from parley.usage.v1 import usage_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

UsageDimensionName: TypeAlias = Literal["day", "model", "route", "session", "purpose", "project"]
"""What usage is split by."""

_DIMENSIONS: dict[str, pb.UsageDimension.ValueType] = {
    "day": pb.USAGE_DIMENSION_DAY,
    "model": pb.USAGE_DIMENSION_MODEL,
    "route": pb.USAGE_DIMENSION_ROUTE,
    "session": pb.USAGE_DIMENSION_SESSION,
    "purpose": pb.USAGE_DIMENSION_PURPOSE,
    "project": pb.USAGE_DIMENSION_PROJECT,
}

_SERVICE = pb.DESCRIPTOR.services_by_name["UsageService"]
GET_USAGE = Rpc(_SERVICE, "GetUsage", pb.GetUsageRequest, pb.GetUsageResponse)
GET_USAGE_TABLE = Rpc(_SERVICE, "GetUsageTable", pb.GetUsageTableRequest, pb.GetUsageTableResponse)

_Asking = TypeVar("_Asking", pb.GetUsageRequest, pb.GetUsageTableRequest)


class Usage:
    """`client.usage`: what the user's texts took. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(
        self,
        *,
        by: Sequence[UsageDimensionName] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        time_zone: str = "",
        session_id: str = "",
        project_id: str = "",
    ) -> pb.GetUsageResponse:
        """Requests, tokens, cost (millionths of a US dollar) and times (milliseconds), split as asked, and in total.

        From `start`, else 30 days before the end, to `end`, else now; both with a time zone. Days are those of `time_zone`, UTC when empty.
        """
        request = _fill(pb.GetUsageRequest(project_id=project_id), by, start, end, time_zone, session_id)
        return await self._connection.call(GET_USAGE, request)

    async def csv(
        self,
        *,
        by: Sequence[UsageDimensionName] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        time_zone: str = "",
        session_id: str = "",
        project_id: str = "",
    ) -> bytes:
        """The same as a table: CSV in UTF-8 with a line of names."""
        request = _fill(pb.GetUsageTableRequest(project_id=project_id), by, start, end, time_zone, session_id)
        table: bytes = (await self._connection.call(GET_USAGE_TABLE, request)).table.data
        return table


def _fill(
    request: _Asking,
    by: Sequence[UsageDimensionName],
    start: datetime | None,
    end: datetime | None,
    time_zone: str,
    session_id: str,
) -> _Asking:
    request.group_by.extend(_DIMENSIONS[each] for each in by)
    request.time_zone = time_zone
    request.session_id = session_id
    for moment, into in ((start, request.start_time), (end, request.end_time)):
        if moment is None:
            continue
        if moment.tzinfo is None:
            raise ValueError("a time without a time zone says nothing")
        into.FromDatetime(moment)
    return request
