"""IndexService."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from parley.retrieval.v1 import index_service_pb2, index_service_pb2_grpc
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.tokens import current_principal

from parley_retrieval.domain.items import Item, ItemVersion
from parley_retrieval.operations.audit import Auditing
from parley_retrieval.operations.items import Items
from parley_retrieval.servicers.index_validation import check_delete, check_list_items, check_put

_PAGE_SIZE = 500
_LIST_NAME = "items"
_ID = re.compile(r"itm_[0-9a-f]{64}")


class IndexServicer(index_service_pb2_grpc.IndexServiceServicer):
    """Unpacks, checks, calls `Items` and `Auditing`, packs. All for the user that the token acts for."""

    def __init__(self, items: Items, auditing: Auditing) -> None:
        """The use cases."""
        self._items = items
        self._auditing = auditing

    async def PutItems(
        self, request: index_service_pb2.PutItemsRequest, _context: Any
    ) -> index_service_pb2.PutItemsResponse:
        """See the contract."""
        check_put(request)
        user_id = current_principal().user_id
        put = [
            Item(
                user_id=user_id,
                named=ItemVersion(item.item_type, item.item_id, item.version),
                title=item.title,
                text=item.text,
                project=item.project,
                update_time=item.update_time.ToDatetime(tzinfo=UTC),
            )
            for item in request.items
        ]
        return index_service_pb2.PutItemsResponse(put_count=await self._items.put(put))

    async def DeleteItems(
        self, request: index_service_pb2.DeleteItemsRequest, _context: Any
    ) -> index_service_pb2.DeleteItemsResponse:
        """See the contract."""
        check_delete(request)
        deleted = [ItemVersion(item.item_type, item.item_id, item.version) for item in request.items]
        count = await self._items.delete(current_principal().user_id, deleted)
        return index_service_pb2.DeleteItemsResponse(deleted_count=count)

    async def ListItems(
        self, request: index_service_pb2.ListItemsRequest, _context: Any
    ) -> index_service_pb2.ListItemsResponse:
        """See the contract."""
        check_list_items(request)
        after = _after(decode_page_token(_LIST_NAME, request.page_token))
        found, end = await self._items.page(current_principal().user_id, after, request.page_size or _PAGE_SIZE)
        return index_service_pb2.ListItemsResponse(
            items=[
                index_service_pb2.IndexedItem(item_type=one.item_type, item_id=one.item_id, version=one.version)
                for one in found
            ],
            next_page_token=encode_page_token(_LIST_NAME, [end]) if end else "",
        )

    async def AuditIndex(
        self, request: index_service_pb2.AuditIndexRequest, _context: Any
    ) -> index_service_pb2.AuditIndexResponse:
        """See the contract."""
        audit = await self._auditing.audit(current_principal().user_id, repair=request.repair)
        return index_service_pb2.AuditIndexResponse(
            chunk_count=audit.chunks,
            point_count=audit.points,
            orphaned_point_count=audit.orphaned_points,
            missing_point_count=audit.missing_points,
            orphaned_file_count=audit.orphaned_files,
            examples=audit.examples,
            repaired=audit.repaired,
        )


def _after(values: list[str | int] | None) -> str:
    if values is None:
        return ""
    # A page token is not signed: what it holds is as foreign as any other field.
    match values:
        case [str(document_id)] if _ID.fullmatch(document_id):
            return document_id
    raise invalid_page_token()
