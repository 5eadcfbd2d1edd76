"""The budgets that the operator sets for every user, as the environment says them. A part of settings.py."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from parley_shared.settings import Environment, SettingsError

from parley_chat.domain.budgets import Budget, BudgetPeriod, operators_budget_id

_MOST = 1_000_000_000_000
_ZONE = "PARLEY_CHAT_BUDGET_TIME_ZONE"


@dataclass(frozen=True)
class BudgetSettings:
    """What one user may spend at most. 0, the default of each, is no limit."""

    day_cost_usd_micros: int
    """`PARLEY_CHAT_BUDGET_DAY_COST_USD_MICROS`: cost of a day, millionths of a US dollar. 0 to 1000000000000."""

    day_tokens: int
    """`PARLEY_CHAT_BUDGET_DAY_TOKENS`: tokens of a day, read and written. 0 to 1000000000000."""

    month_cost_usd_micros: int
    """`PARLEY_CHAT_BUDGET_MONTH_COST_USD_MICROS`: cost of a month. 0 to 1000000000000."""

    month_tokens: int
    """`PARLEY_CHAT_BUDGET_MONTH_TOKENS`: tokens of a month. 0 to 1000000000000."""

    total_cost_usd_micros: int
    """`PARLEY_CHAT_BUDGET_TOTAL_COST_USD_MICROS`: cost for good. 0 to 1000000000000."""

    total_tokens: int
    """`PARLEY_CHAT_BUDGET_TOTAL_TOKENS`: tokens for good. 0 to 1000000000000."""

    time_zone: str
    """`PARLEY_CHAT_BUDGET_TIME_ZONE`: where these days and months begin, an IANA name."""

    @classmethod
    def read(cls, environment: Environment) -> BudgetSettings:
        """Reads them. Raises SettingsError."""
        time_zone = environment.text(_ZONE, "UTC")
        try:
            ZoneInfo(time_zone)
        except (KeyError, ValueError, OSError):
            words = f"{_ZONE}: must be the name of a time zone, like Europe/Berlin."
            raise SettingsError(_ZONE, words) from None

        def limit(name: str) -> int:
            return environment.integer(f"PARLEY_CHAT_BUDGET_{name}", 0, least=0, most=_MOST)

        return cls(
            day_cost_usd_micros=limit("DAY_COST_USD_MICROS"),
            day_tokens=limit("DAY_TOKENS"),
            month_cost_usd_micros=limit("MONTH_COST_USD_MICROS"),
            month_tokens=limit("MONTH_TOKENS"),
            total_cost_usd_micros=limit("TOTAL_COST_USD_MICROS"),
            total_tokens=limit("TOTAL_TOKENS"),
            time_zone=time_zone,
        )

    def budgets(self) -> tuple[Budget, ...]:
        """Those of them that limit anything."""
        limits = {
            BudgetPeriod.DAY: (self.day_cost_usd_micros, self.day_tokens),
            BudgetPeriod.MONTH: (self.month_cost_usd_micros, self.month_tokens),
            BudgetPeriod.TOTAL: (self.total_cost_usd_micros, self.total_tokens),
        }
        return tuple(
            Budget(
                budget_id=operators_budget_id(period),
                name="",
                period=period,
                time_zone=self.time_zone,
                limit_cost_usd_micros=cost or None,
                limit_tokens=tokens or None,
                create_time=None,
                update_time=None,
            )
            for period, (cost, tokens) in limits.items()
            if cost or tokens
        )
