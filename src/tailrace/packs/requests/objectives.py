"""Service-level objectives: error budgets, burn rates and Apdex, from counts.

An objective is that a share of requests succeeds (99.9 %) over a period (30 days). The rest is the
error budget. A burn rate of 1 uses it up exactly at the period's end; how fast it may burn, over
which windows, before somebody is told is after Google's Site Reliability Workbook, chapter 5,
"Multiwindow, Multi-Burn-Rate Alerts": the long window says that it matters, the short one that it
still goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["page", "ticket"]

WINDOWS: Final[Mapping[str, int]] = {
    "5m": 300,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "6h": 21_600,
    "1d": 86_400,
    "3d": 259_200,
}
"""Seconds by name."""


@dataclass(frozen=True)
class Rule:
    """Somebody is told when both windows burn so fast that the long one uses this share."""

    short: str
    long: str
    budget_share: float
    severity: Severity

    def burn_rate(self, period_days: int) -> float:
        """The burn rate from which on this holds: 14.4, 6, 3 and 1 for 30 days."""
        return self.budget_share * period_days * 86_400 / WINDOWS[self.long]


RULES: Final = (
    Rule("5m", "1h", 0.02, "page"),
    Rule("30m", "6h", 0.05, "page"),
    Rule("2h", "1d", 0.10, "ticket"),
    Rule("6h", "3d", 0.10, "ticket"),
)
"""The most urgent first."""


@dataclass(frozen=True)
class Objective:
    """What is aimed at. `target` is a share of 1."""

    target: float
    period_days: int

    @property
    def budget(self) -> float:
        """The share of requests that may fail."""
        return 1 - self.target

    def burn_rate(self, requests: int, failed: int) -> float | None:
        """How many times as fast as allowed the budget is used up; None without requests."""
        return failed / requests / self.budget if requests else None

    def budget_left(self, requests: int, failed: int) -> float | None:
        """The share of the budget that is left; below 0 when more failed than may."""
        rate = self.burn_rate(requests, failed)
        return None if rate is None else 1 - rate

    def alert(self, rates: Mapping[str, float | None]) -> tuple[Severity, Rule] | None:
        """The most urgent rule that holds for the burn rates of the windows."""
        for rule in RULES:
            least = rule.burn_rate(self.period_days)
            if all((rates[window] or 0) >= least for window in (rule.short, rule.long)):
                return rule.severity, rule
        return None


def apdex(requests: int, satisfied: int, within_four: int) -> float | None:
    """Application Performance Index: satisfied ones count whole, those within four times half."""
    return (satisfied + (within_four - satisfied) / 2) / requests if requests else None
