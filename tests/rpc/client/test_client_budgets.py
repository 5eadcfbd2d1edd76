"""`client.budgets`, `parley budget` and `parley estimate`: what models may take, from the outside."""

from __future__ import annotations

import contextlib
import json

import pytest
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley_client import BudgetReached, Parley, ParleyError, Turn, TurnFailed, TurnFailedError
from parley_testing.command import end, run, start
from parley_testing.scripted_inference import ScriptedInference

PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)


async def test_the_client_keeps_budgets(here: dict[str, str]) -> None:
    async with Parley.connect(here["PARLEY_ADDRESS"], token=here["PARLEY_TOKEN"]) as client:
        made = await client.budgets.create("month", cost_usd_micros=5_000_000, name="all", time_zone="Europe/Berlin")
        assert made.spending.left_cost_usd_micros == 5_000_000
        changed = await client.budgets.update(made.budget_id, tokens=7)
        assert (changed.HasField("limit_cost_usd_micros"), changed.limit_tokens, changed.name) == (False, 7, "all")
        assert [each.budget_id for each in await client.budgets.list()] == [made.budget_id]
        assert (await client.budgets.get(made.budget_id)).limit_tokens == 7
        await client.budgets.delete(made.budget_id)
        assert not await client.budgets.list()
        with pytest.raises(ParleyError):
            await client.budgets.get(made.budget_id)


async def test_a_reader_is_told_which_budget_ended_the_answer(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    async with Parley.connect(here["PARLEY_ADDRESS"], token=here["PARLEY_TOKEN"]) as client:
        budget = await client.budgets.create("day", tokens=600)
        turn = client.stream_reply("Tell me something.", route="standard")
        await turn.start()
        call = await inference.next_call()
        for _ in range(1_000):
            call.say("four")
        reached = await _reached(turn)
        assert [event.budget_id for event in reached] == [budget.budget_id]
        assert "600 tokens today" in reached[0].message
        assert isinstance(turn.last, TurnFailed)
        assert "600 tokens today" in turn.last.failure.message


async def _reached(turn: Turn) -> list[BudgetReached]:
    """What the events of a turn that fails tell of budgets."""
    found: list[BudgetReached] = []
    with contextlib.suppress(TurnFailedError):
        async for event in turn:
            if isinstance(event, BudgetReached):
                found.append(event)  # noqa: PERF401 - what was read before the error is kept
    return found


async def test_the_command_sets_lists_and_deletes_budgets_and_says_which_one_ended_an_answer(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    nothing = await run(here, "budget", "list")
    assert (nothing.code, nothing.out) == (0, "")
    assert "There are no budgets" in nothing.err
    made = await run(here, "budget", "set", "day", "--cost", "2.50", "--tokens", "600", "--json")
    assert made.code == 0, made.err
    budget_id = json.loads(made.out)["budget_id"]
    asked = await start(here, "ask", "--route", "standard", "Tell me something.")
    call = await inference.next_call()
    for _ in range(1_000):
        call.say("four")
    ended = await end(asked)
    assert ended.code == 1
    assert "four" in ended.out
    assert "$2.50" not in ended.err
    assert "The budget of 600 tokens today is spent." in ended.err
    raised = await run(here, "budget", "set", "day", "--cost", "0.5")
    assert raised.code == 0, raised.err
    listed = await run(here, "budget", "list")
    (_, row) = listed.out.splitlines()
    assert row.startswith("day $0.50")
    assert budget_id in row
    assert (await run(here, "budget", "delete", budget_id)).code == 0
    assert "There are no budgets" in (await run(here, "budget", "list")).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("day",), "needs --cost, --tokens, or both"),
        (("day", "--cost", "cheap"), "--cost takes dollars"),
        (("day", "--cost", "-1"), "--cost takes dollars"),
        (("day", "--cost", "0.0000001"), "--cost takes dollars"),
        (("week", "--cost", "1"), "week"),
    ],
)
async def test_the_command_says_what_is_wrong_with_a_budget(
    here: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    refused = await run(here, "budget", "set", *arguments)
    assert refused.code == 2
    assert words in refused.err


async def test_the_command_estimates_a_message(here: dict[str, str], inference: ScriptedInference) -> None:
    inference.models = [
        model_service_pb2.Model(model="scripted-1", provider="scripted", aliases=["fast", "strong"], price=PRICE)
    ]
    shown = await run(here, "estimate", "Hello", "--route", "standard")
    assert shown.code == 0, shown.err
    assert shown.out.startswith("standard · scripted-1\nabout ")
    assert "$0.0" in shown.out
    await run(here, "budget", "set", "total", "--tokens", "10")
    refused = await run(here, "estimate", "Hello", "--route", "standard")
    assert refused.code == 1
    assert "does not fit: total 10 tokens" in refused.out
