"""Budgets in UsageService: kept, changed, told as events, estimated against, and what every wrong request gets."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2
from parley.budget.v1 import budget_pb2
from parley.chat.v1 import message_pb2
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley.usage.v1 import usage_service_pb2 as pb
from parley.usage.v1 import usage_service_pb2_grpc
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream

DAY, TOTAL = budget_pb2.BUDGET_PERIOD_DAY, budget_pb2.BUDGET_PERIOD_TOTAL
PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)
NOBODYS = "bud_" + "0" * 32


@pytest.fixture
def usage(running: RunningChat) -> Any:
    return usage_service_pb2_grpc.UsageServiceStub(running.channel)


async def create(usage: Any, person: Person, **fields: Any) -> budget_pb2.Budget:
    given = {"period": DAY, "limit_tokens": 1_000, **fields}
    request = pb.CreateBudgetRequest(**{key: value for key, value in given.items() if value is not None})
    budget: budget_pb2.Budget = (await usage.CreateBudget(request, metadata=person.metadata)).budget
    return budget


async def refused(call: Any) -> StatusError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return status_error_from(raised.value)


async def test_a_budget_is_made_changed_and_deleted_and_each_is_an_event(
    running: RunningChat, alice: Person, usage: Any
) -> None:
    made = await create(
        usage, alice, period=TOTAL, name=" pocket money ", time_zone="Asia/Tokyo", limit_cost_usd_micros=5
    )
    assert (made.name, made.time_zone, made.limit_tokens, made.limit_cost_usd_micros) == (
        "pocket money",
        "Asia/Tokyo",
        1_000,
        5,
    )
    assert made.origin == budget_pb2.BUDGET_ORIGIN_USER
    assert made.spending.left_tokens == 1_000
    mask = field_mask_pb2.FieldMask(paths=["name", "limit_tokens"])
    changed = (
        await usage.UpdateBudget(
            pb.UpdateBudgetRequest(budget_id=made.budget_id, name="less", update_mask=mask), metadata=alice.metadata
        )
    ).budget
    assert (changed.name, changed.HasField("limit_tokens"), changed.limit_cost_usd_micros) == ("less", False, 5)
    assert changed.create_time == made.create_time
    (listed,) = (await usage.ListBudgets(pb.ListBudgetsRequest(), metadata=alice.metadata)).budgets
    got = (await usage.GetBudget(pb.GetBudgetRequest(budget_id=made.budget_id), metadata=alice.metadata)).budget
    assert listed == got == changed
    await usage.DeleteBudget(pb.DeleteBudgetRequest(budget_id=made.budget_id), metadata=alice.metadata)
    assert not (await usage.ListBudgets(pb.ListBudgetsRequest(), metadata=alice.metadata)).budgets
    log: Any = event_service_pb2_grpc.EventServiceStub(running.channel)
    told = await log.ListEvents(
        event_service_pb2.ListEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_BUDGET]), metadata=alice.metadata
    )
    assert [event.action for event in told.events] == [
        event_pb2.ACTION_CREATED,
        event_pb2.ACTION_UPDATED,
        event_pb2.ACTION_DELETED,
    ]
    assert [event.resource_id for event in told.events] == 3 * [made.budget_id]
    assert told.events[1].budget.name == "less"
    assert not told.events[1].budget.HasField("spending")
    assert told.events[2].WhichOneof("resource") is None


async def test_budgets_of_others_are_not_found(alice: Person, carol: Person, usage: Any) -> None:
    made = await create(usage, alice)
    for call in (
        usage.GetBudget(pb.GetBudgetRequest(budget_id=made.budget_id), metadata=carol.metadata),
        usage.UpdateBudget(pb.UpdateBudgetRequest(budget_id=made.budget_id, limit_tokens=1), metadata=carol.metadata),
        usage.DeleteBudget(pb.DeleteBudgetRequest(budget_id=made.budget_id), metadata=carol.metadata),
    ):
        assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND


async def test_the_last_limit_cannot_be_taken_away(alice: Person, usage: Any) -> None:
    made = await create(usage, alice)
    mask = field_mask_pb2.FieldMask(paths=["limit_tokens"])
    error = await refused(
        usage.UpdateBudget(pb.UpdateBudgetRequest(budget_id=made.budget_id, update_mask=mask), metadata=alice.metadata)
    )
    assert (error.code, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "update_mask")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"period": 0}, "period"),
        ({"period": 9}, "period"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"limit_tokens": 0}, "limit_tokens"),
        ({"limit_tokens": -1}, "limit_tokens"),
        ({"limit_tokens": 1_000_000_000_001}, "limit_tokens"),
        ({"limit_cost_usd_micros": 0}, "limit_cost_usd_micros"),
        ({"limit_tokens": None}, "limit_cost_usd_micros"),
    ],
)
async def test_a_wrong_new_budget_names_the_field(
    chat: RunningChat, ada: Any, fields: dict[str, Any], named: str
) -> None:
    stub: Any = usage_service_pb2_grpc.UsageServiceStub(chat.channel)
    given = {"period": DAY, "limit_tokens": 5, **fields}
    request = pb.CreateBudgetRequest(**{key: value for key, value in given.items() if value is not None})
    error = await refused(stub.CreateBudget(request, metadata=ada.metadata))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [field for field, _ in error.violations] == [named]


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (pb.GetBudgetRequest(), "budget_id"),
        (pb.GetBudgetRequest(budget_id="bud_operator_week"), "budget_id"),
        (pb.DeleteBudgetRequest(budget_id="tsk_1"), "budget_id"),
        (pb.DeleteBudgetRequest(budget_id="bud_operator_day"), "budget_id"),
        (pb.UpdateBudgetRequest(budget_id="nonsense", limit_tokens=1), "budget_id"),
        (pb.UpdateBudgetRequest(budget_id=NOBODYS, limit_tokens=0), "limit_tokens"),
        (
            pb.UpdateBudgetRequest(budget_id=NOBODYS, update_mask=field_mask_pb2.FieldMask(paths=["period"])),
            "update_mask",
        ),
        (pb.EstimateCostRequest(), "message"),
        (pb.EstimateCostRequest(message="x" * 32_001), "message"),
        (pb.EstimateCostRequest(message="Hello", session_id="ses_1"), "session_id"),
        (pb.EstimateCostRequest(message="Hello", route=9), "route"),  # type: ignore[arg-type] # no such value
        (pb.EstimateCostRequest(message="Hello", model="m" * 201), "model"),
    ],
)
async def test_other_wrong_requests_name_the_field(chat: RunningChat, ada: Any, request_: Any, named: str) -> None:
    stub: Any = usage_service_pb2_grpc.UsageServiceStub(chat.channel)
    rpc = getattr(stub, type(request_).__name__.removesuffix("Request"))
    error = await refused(rpc(request_, metadata=ada.metadata))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [field for field, _ in error.violations] == [named]


async def test_too_many_budgets_are_refused(alice: Person, usage: Any) -> None:
    for _ in range(20):
        await create(usage, alice)
    error = await refused(
        usage.CreateBudget(pb.CreateBudgetRequest(period=DAY, limit_tokens=1), metadata=alice.metadata)
    )
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED")
    assert error.metadata["limit"] == "20"


async def test_an_estimate_tells_tokens_cost_and_what_fits(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    inference.models = [
        model_service_pb2.Model(model="scripted-1", provider="scripted", aliases=["fast", "strong"], price=PRICE)
    ]
    small = await create(usage, alice, period=TOTAL, limit_tokens=750)
    large = await create(usage, alice, period=TOTAL, limit_tokens=None, limit_cost_usd_micros=1_000_000)
    request = pb.EstimateCostRequest(message="Hello " * 40, route=message_pb2.ROUTE_STANDARD)
    found = await usage.EstimateCost(request, metadata=alice.metadata)
    assert (found.route, found.model) == (message_pb2.ROUTE_STANDARD, "scripted-1")
    assert found.input_tokens > 60
    assert 0 < found.output_tokens_low < found.output_tokens_high
    assert found.cost_usd_micros_low == found.input_tokens + 2 * found.output_tokens_low
    assert found.cost_usd_micros_high == found.input_tokens + 2 * found.output_tokens_high
    assert [(fit.budget.budget_id, fit.low, fit.high) for fit in found.fits] == [
        (small.budget_id, True, False),
        (large.budget_id, True, True),
    ]
    # What was said before is read again.
    reader = stream(running, alice, message="Tell me. " * 200, route=message_pb2.ROUTE_STANDARD, model="other")
    call = await inference.next_call()
    call.say("Well.")
    call.use(100, 300)
    call.finish()
    session_id = (await reader.to_end())[0].started.session_id
    request.session_id = session_id
    longer = await usage.EstimateCost(request, metadata=alice.metadata)
    assert longer.input_tokens > found.input_tokens + 400
    # Of the small budget, what the answer took is spent: not even the lower estimate fits any more.
    assert [(fit.low, fit.high) for fit in longer.fits] == [(False, False), (True, True)]
    request.model = "unknown"
    unpriced = await usage.EstimateCost(request, metadata=alice.metadata)
    assert (unpriced.model, unpriced.HasField("cost_usd_micros_low")) == ("unknown", False)
    calls = inference.calls
    request.session_id = "ses_" + "0" * 32
    assert (await refused(usage.EstimateCost(request, metadata=alice.metadata))).code is grpc.StatusCode.NOT_FOUND
    assert inference.calls == calls == 1


async def test_the_users_own_answers_tell_how_long_the_next_one_may_be(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    for tokens in (10, 20, 30, 40, 50):
        reader = stream(running, alice, route=message_pb2.ROUTE_STANDARD)
        call = await inference.next_call()
        call.say("Well.")
        call.use(100, tokens)
        call.finish()
        await reader.to_end()
    request = pb.EstimateCostRequest(message="Hello", route=message_pb2.ROUTE_STANDARD)
    found = await usage.EstimateCost(request, metadata=alice.metadata)
    assert (found.output_tokens_low, found.output_tokens_high) == (10, 50)
    request.route = message_pb2.ROUTE_ENHANCED
    other = await usage.EstimateCost(request, metadata=alice.metadata)
    assert other.output_tokens_high > 50
    # Passages and tools are read too.
    assert other.input_tokens > found.input_tokens + 1_000
