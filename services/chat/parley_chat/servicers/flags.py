"""FlagService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from parley.flags.v1 import flag_service_pb2 as pb
from parley.flags.v1 import flag_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.operations.flags import Flags
from parley_chat.servicers.flag_fields import check_delete, check_set, pack_evaluated, pack_flag

Context = grpc.aio.ServicerContext[object, object]


class FlagServicer(flag_service_pb2_grpc.FlagServiceServicer):
    """Serves flags to users and to administrators."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags

    async def GetFlags(self, request: pb.GetFlagsRequest, context: Context) -> pb.GetFlagsResponse:
        """Tells what every flag is for the caller."""
        flags, revision = self._flags.for_user(current_principal().user_id)
        return pb.GetFlagsResponse(flags=[pack_evaluated(flag) for flag in flags], revision=revision)

    async def WatchFlags(self, request: pb.WatchFlagsRequest, context: Context) -> AsyncIterator[pb.WatchFlagsResponse]:
        """Tells it, and again whenever it changes."""
        async with aclosing(self._flags.watch(current_principal().user_id)) as watched:
            async for flags, revision in watched:
                yield pb.WatchFlagsResponse(flags=[pack_evaluated(flag) for flag in flags], revision=revision)

    async def ListFlags(self, request: pb.ListFlagsRequest, context: Context) -> pb.ListFlagsResponse:
        """Lists the flags as they are set."""
        found = await self._flags.list()
        return pb.ListFlagsResponse(flags=[pack_flag(flag) for flag in found.flags], revision=found.revision)

    async def SetFlag(self, request: pb.SetFlagRequest, context: Context) -> pb.SetFlagResponse:
        """Makes or changes a flag."""
        wish = check_set(request)
        expected = request.expected_revision if request.HasField("expected_revision") else None
        flag = await self._flags.set(current_principal().user_id, request.name, expected, wish)
        return pb.SetFlagResponse(flag=pack_flag(flag))

    async def DeleteFlag(self, request: pb.DeleteFlagRequest, context: Context) -> pb.DeleteFlagResponse:
        """Deletes a flag."""
        check_delete(request)
        expected = request.expected_revision if request.HasField("expected_revision") else None
        await self._flags.delete(current_principal().user_id, request.name, expected)
        return pb.DeleteFlagResponse()
