"""`parley budget` and `parley estimate`: what models may take, and what a message would."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from parley.budget.v1 import budget_pb2
from parley_client import route_name
from rich.table import Table
from rich.text import Text

from parley_cli.figures import dollars
from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley.usage.v1 import usage_service_pb2 as pb
    from parley_client import Parley
    from parley_client.budgets import BudgetPeriodName

_PERIODS = {
    budget_pb2.BUDGET_PERIOD_DAY: "day",
    budget_pb2.BUDGET_PERIOD_MONTH: "month",
    budget_pb2.BUDGET_PERIOD_TOTAL: "total",
}


def read_dollars(text: str) -> int | None:
    """What `2.50` is in millionths of a dollar; None for nothing. CommandError for what is no amount."""
    if not text:
        return None
    try:
        micros = Decimal(text.removeprefix("$")) * 1_000_000
    except InvalidOperation:
        micros = Decimal(-1)
    if not micros.is_finite() or micros < 1 or micros != micros.to_integral_value():
        raise CommandError(f"--cost takes dollars, like 2.50, not {printable(text)!r}.", exit_code=2)
    return int(micros)


async def set_budget(
    client: Parley, period: BudgetPeriodName, *, cost: int | None, tokens: int | None, name: str, as_json: bool
) -> int:
    """Makes the budget of this period and name, or sets its limits when it is there."""
    if cost is None and tokens is None:
        raise CommandError("A budget needs --cost, --tokens, or both.", exit_code=2)
    own = [each for each in await client.budgets.list() if each.origin == budget_pb2.BUDGET_ORIGIN_USER]
    same = [each for each in own if (_PERIODS.get(each.period), each.name) == (period, name)]
    if same:
        budget = await client.budgets.update(same[0].budget_id, cost_usd_micros=cost, tokens=tokens)
    else:
        budget = await client.budgets.create(
            period, cost_usd_micros=cost, tokens=tokens, name=name, time_zone=local_time_zone()
        )
    if as_json:
        print_json(budget)
    else:
        _show([budget])
    return 0


async def list_budgets(client: Parley, *, as_json: bool) -> int:
    """Prints the budgets."""
    found = await client.budgets.list()
    if as_json:
        print_json_list(found)
    elif not found:
        print("There are no budgets: models may take what they like. `parley budget set` makes one.", file=sys.stderr)
    else:
        _show(found)
    return 0


async def delete_budget(client: Parley, budget_id: str) -> int:
    """Deletes one."""
    await client.budgets.delete(budget_id)
    return 0


async def estimate(client: Parley, message: str, *, session_id: str, route: str, model: str, as_json: bool) -> int:
    """Prints what a message would cost. Exits with 1 when a budget would refuse it."""
    found = await client.budgets.estimate(message, session_id=session_id, route=route or "automatic", model=model)
    if as_json:
        print_json(found)
    else:
        _tell(found)
    return 0 if all(fit.low for fit in found.fits) else 1


def _tell(found: pb.EstimateCostResponse) -> None:
    print(f"{route_name(found.route)} · {printable(found.model)}")
    print(
        f"about {found.input_tokens:,} tokens in, {found.output_tokens_low:,} to {found.output_tokens_high:,} tokens out"
    )
    if found.HasField("cost_usd_micros_low"):
        print(f"{dollars(found.cost_usd_micros_low)} to {dollars(found.cost_usd_micros_high)}")
    else:
        print("The price of the model is not known.")
    for fit in found.fits:
        words = "fits" if fit.high else "fits, unless the answer is long" if fit.low else "does not fit"
        print(f"{words}: {_named(fit.budget)}")


def _show(budgets: Iterable[budget_pb2.Budget]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("budget", "spent", "held", "left", "begins anew"):
        table.add_column(name, no_wrap=True)
    table.add_column("id", no_wrap=True)
    for each in budgets:
        spent = each.spending
        cost, tokens = each.HasField("limit_cost_usd_micros"), each.HasField("limit_tokens")
        table.add_row(
            Text(_named(each), style="red" if spent.reached else ""),
            _both(spent.spent_cost_usd_micros if cost else None, spent.spent_tokens if tokens else None),
            _both(spent.reserved_cost_usd_micros if cost else None, spent.reserved_tokens if tokens else None),
            _both(spent.left_cost_usd_micros if cost else None, spent.left_tokens if tokens else None),
            _when(spent),
            each.budget_id,
        )
    new_console().print(table)


def _named(budget: budget_pb2.Budget) -> str:
    limits = _both(
        budget.limit_cost_usd_micros if budget.HasField("limit_cost_usd_micros") else None,
        budget.limit_tokens if budget.HasField("limit_tokens") else None,
    )
    who = "operator's " if budget.origin == budget_pb2.BUDGET_ORIGIN_OPERATOR else ""
    name = f"{printable(budget.name)}: " if budget.name else ""
    return f"{name}{who}{_PERIODS.get(budget.period, 'period')} {limits}"


def _both(cost: int | None, tokens: int | None) -> str:
    parts = [dollars(cost)] if cost is not None else []
    parts += [f"{tokens:,} tokens"] if tokens is not None else []
    return ", ".join(parts)


def _when(spending: budget_pb2.BudgetSpending) -> str:
    if not spending.HasField("renew_time"):
        return "never"
    return f"{spending.renew_time.ToDatetime():%Y-%m-%d %H:%M} UTC"
