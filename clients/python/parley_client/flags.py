"""Feature flags as they are set, and as they are for the user: `parley.flags.v1`.

Not `client.is_feature_enabled`, which keeps the user's flags at hand so that asking takes no time: `live_flags.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from google.protobuf import field_mask_pb2
from parley.flags.v1 import flag_pb2
from parley.flags.v1 import flag_service_pb2 as pb

from parley_client.rpc import Rpc
from parley_client.watching import watched

if TYPE_CHECKING:
    from parley_client.backoff import Backoff
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["FlagService"]
GET_FLAGS = Rpc(_SERVICE, "GetFlags", pb.GetFlagsRequest, pb.GetFlagsResponse)
WATCH_FLAGS = Rpc(_SERVICE, "WatchFlags", pb.WatchFlagsRequest, pb.WatchFlagsResponse)
LIST_FLAGS = Rpc(_SERVICE, "ListFlags", pb.ListFlagsRequest, pb.ListFlagsResponse)
SET_FLAG = Rpc(_SERVICE, "SetFlag", pb.SetFlagRequest, pb.SetFlagResponse)
DELETE_FLAG = Rpc(_SERVICE, "DeleteFlag", pb.DeleteFlagRequest, pb.DeleteFlagResponse)


class Flags:
    """`client.flags`: which parts of a product are on for the user, and, for administrators, for whom. Raises ParleyError."""

    def __init__(self, connection: Connection, stream_backoff: Backoff) -> None:
        self._connection = connection
        self._stream_backoff = stream_backoff

    async def get(self) -> dict[str, flag_pb2.EvaluatedFlag]:
        """What every flag is for the user, by name."""
        response = await self._connection.call(GET_FLAGS, pb.GetFlagsRequest())
        return {flag.name: flag for flag in response.flags}

    async def watch(self) -> AsyncGenerator[dict[str, flag_pb2.EvaluatedFlag], None]:
        """The same, and again whenever something of it changes, until the caller stops reading.

        A stream that is cut is begun again, with pauses; then, and every now and then, the same comes again. Raises the ParleyError of the
        last cut when the backoff is used up.
        """
        async with aclosing(
            watched(self._connection, self._stream_backoff, WATCH_FLAGS, pb.WatchFlagsRequest())
        ) as messages:
            async for message in messages:
                yield {flag.name: flag for flag in message.flags}

    async def list(self) -> list[flag_pb2.Flag]:
        """All flags as they are set, by name. For administrators: scope `flags:read`."""
        return list((await self._connection.call(LIST_FLAGS, pb.ListFlagsRequest())).flags)

    async def set(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        percentage: float | None = None,
        description: str | None = None,
        users_on: Sequence[str] | None = None,
        users_off: Sequence[str] | None = None,
        value: str | None = None,
        expected_revision: int | None = None,
    ) -> flag_pb2.Flag:
        """Makes a flag, or changes what is given of it. For administrators: scope `flags:write`.

        enabled: whether it can be on at all; a new flag is not, unless this says so.
        percentage: of the users, 0 to 100, to a hundredth; 100 for a new flag. Raising it takes the flag from nobody.
        users_on, users_off: ids of users for whom it is on or off whatever the percentage.
        value: what programs are told beside on.
        expected_revision: the revision that it must have, 0 for none yet; AbortedError when it has another.
        """
        given = {
            "enabled": enabled,
            "rollout_basis_points": None if percentage is None else round(percentage * 100),
            "description": description,
            "users_on": users_on,
            "users_off": users_off,
            "value": value,
        }
        changes = {field: value for field, value in given.items() if value is not None}
        request = pb.SetFlagRequest(
            name=name, update_mask=field_mask_pb2.FieldMask(paths=list(changes)), expected_revision=expected_revision
        )
        request.MergeFrom(pb.SetFlagRequest(**changes))  # type: ignore[arg-type] # each as its field is
        return (await self._connection.call(SET_FLAG, request)).flag

    async def delete(self, name: str, *, expected_revision: int | None = None) -> None:
        """Deletes a flag; one that the operator's settings have too is as they say again. NotFoundError when it was not set."""
        await self._connection.call(DELETE_FLAG, pb.DeleteFlagRequest(name=name, expected_revision=expected_revision))
