"""The map of the system and how answers did, as the contract has them."""

from __future__ import annotations

from parley.system.v1 import system_map_pb2 as pb
from parley.system.v1 import traffic_pb2

from parley_chat.domain.answer_tally import AnswerReport, Incident, IncidentKind
from parley_chat.domain.system_map import Link, Node, NodeKind
from parley_chat.servicers.provider_messages import CIRCUITS

_NODES = {
    NodeKind.EDGE: pb.SYSTEM_NODE_KIND_EDGE,
    NodeKind.SERVICE: pb.SYSTEM_NODE_KIND_SERVICE,
    NodeKind.PROVIDER: pb.SYSTEM_NODE_KIND_PROVIDER,
    NodeKind.STORE: pb.SYSTEM_NODE_KIND_STORE,
}
_INCIDENTS = {
    IncidentKind.FAILED: pb.INCIDENT_KIND_ANSWER_FAILED,
    IncidentKind.SWITCHED: pb.INCIDENT_KIND_MODEL_SWITCHED,
    IncidentKind.WITHOUT_CONTEXT: pb.INCIDENT_KIND_WITHOUT_CONTEXT,
    IncidentKind.WAITS: pb.INCIDENT_KIND_ANSWER_WAITS,
}


def pack_node(node: Node) -> pb.SystemNode:
    """Packs a part."""
    return pb.SystemNode(
        node_id=node.node_id, kind=_NODES[node.kind], technology=node.technology, process_id=node.process_id
    )


def pack_link(link: Link) -> pb.SystemLink:
    """Packs a way."""
    packed = pb.SystemLink(from_node_id=link.start, to_node_id=link.end, circuit=CIRCUITS[link.circuit])
    if (traffic := link.traffic or link.silent_traffic) is not None:
        packed.traffic.CopyFrom(
            traffic_pb2.Traffic(
                window_seconds=traffic.window_seconds,
                call_count=traffic.calls,
                error_count=traffic.errors,
                running_count=traffic.running,
                time_to_first_token_ms=traffic.first_token_ms,
            )
        )
    return packed


def pack_answers(report: AnswerReport) -> pb.AnswerFigures:
    """Packs how answers did."""
    counts = report.counts
    return pb.AnswerFigures(
        window_seconds=report.window_seconds,
        ended_count=counts.ended,
        failed_count=counts.failed,
        stopped_count=counts.stopped,
        switch_count=counts.switched,
        without_context_count=counts.without_context,
        wait_count=counts.waited,
    )


def pack_incident(incident: Incident) -> pb.Incident:
    """Packs what went wrong."""
    packed = pb.Incident(
        kind=_INCIDENTS[incident.kind],
        reason=incident.reason,
        model=incident.model,
        next_model=incident.next_model,
    )
    packed.time.FromDatetime(incident.time)
    return packed
