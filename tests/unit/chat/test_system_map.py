"""The map of the system: which parts and ways there are, and whose figures stand at which way."""

from __future__ import annotations

from parley_chat.domain.models import Circuit, Provider, ProviderState
from parley_chat.domain.system_map import Link, SystemMap, map_of
from parley_chat.domain.traffic import ProcessReport, StoreReport, Traffic


def calls(number: int) -> Traffic:
    return Traffic(60, number, 0, 0)


PROVIDER = Provider(
    provider="cloud",
    state=ProviderState.OPEN,
    state_change_time=None,
    last_failure_reason="",
    running_calls=0,
    waiting_calls=0,
    kind="openai",
    circuit=Circuit.OPEN,
    traffic=calls(7),
)
PROCESSES = {
    "chat": ProcessReport("c1", {"": calls(1)}, (StoreReport("database", "sqlite", calls(2)),)),
    "inference": ProcessReport("i1", {"chat": calls(3), "retrieval": calls(4)}),
    "retrieval": ProcessReport("r1", {"": calls(5), "chat": calls(6)}, (StoreReport("index", "qdrant"),)),
}


def link(of: SystemMap, start: str, end: str) -> Link:
    return next(each for each in of.links if (each.start, each.end) == (start, end))


def test_each_way_has_the_figures_of_its_own_caller() -> None:
    drawn = map_of(PROCESSES, [PROVIDER])
    told = {(each.start, each.end): each.traffic.calls if each.traffic else None for each in drawn.links}
    assert told == {
        ("edge", "chat"): 1,
        ("edge", "retrieval"): 5,
        ("edge", "inference"): 0,
        ("chat", "retrieval"): 6,
        ("chat", "inference"): 3,
        ("retrieval", "inference"): 4,
        ("inference", "provider:cloud"): 7,
        ("chat", "chat:database"): None,
        ("retrieval", "retrieval:index"): None,
    }
    assert link(drawn, "chat", "chat:database").silent_traffic == calls(2)
    assert link(drawn, "inference", "provider:cloud").circuit is Circuit.OPEN


def test_parts_are_told_in_their_order_and_with_what_they_are() -> None:
    drawn = map_of(PROCESSES, [PROVIDER])
    assert [(node.node_id, node.technology, node.process_id) for node in drawn.nodes] == [
        ("edge", "", ""),
        ("chat", "", "c1"),
        ("inference", "", "i1"),
        ("retrieval", "", "r1"),
        ("provider:cloud", "openai", ""),
        ("chat:database", "sqlite", ""),
        ("retrieval:index", "qdrant", ""),
    ]


def test_what_does_not_answer_has_no_figures_and_still_its_place() -> None:
    drawn = map_of({**PROCESSES, "retrieval": None}, [])
    assert [node.node_id for node in drawn.nodes] == ["edge", "chat", "inference", "retrieval", "chat:database"]
    assert link(drawn, "chat", "retrieval").traffic is None


def test_a_look_at_the_stores_is_no_news() -> None:
    one = map_of({"chat": ProcessReport("c", {}, (StoreReport("database", "sqlite", calls(1)),))}, [])
    other = map_of({"chat": ProcessReport("c", {}, (StoreReport("database", "sqlite", calls(2)),))}, [])
    busy = map_of({"chat": ProcessReport("c", {"": calls(1)}, (StoreReport("database", "sqlite", calls(2)),))}, [])
    assert one == other
    assert one != busy
