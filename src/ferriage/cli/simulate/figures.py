"""What a simulation prints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ferriage.cli.simulate.machine import Cost, cost_of, database_cost, own_cost
from ferriage.cli.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ferriage.cli.simulate.agents import Tally
    from ferriage.cli.simulate.machine import Server

_MB: Final = 1_000_000
_PARTS: Final = (50, 95, 99)


class Spent(NamedTuple):
    """What each part cost between two instants, and how long that was."""

    parts: dict[str, Cost]
    seconds: float


class Meter:
    """Measures from when it is made."""

    def __init__(self, servers: Sequence[Server], agents: Sequence[int]) -> None:
        self._servers = servers
        self._agents = agents
        self._before, self._began = self._read(), time.monotonic()

    def _read(self) -> dict[str, Cost]:
        costs = {"shop": own_cost()} | {server.name: server.cost() for server in self._servers}
        costs["database"] = database_cost()
        agents = [cost_of(pid) for pid in self._agents]
        costs["agents"] = Cost(sum(one.seconds for one in agents), sum(one.bytes for one in agents))
        return costs

    def spent(self) -> Spent:
        """Return what was spent since, and what each part holds in memory now."""
        now = self._read()
        parts = {
            name: Cost(cost.seconds - self._before[name].seconds, cost.bytes)
            for name, cost in now.items()
        }
        return Spent(parts, time.monotonic() - self._began)


def delays(tally: Tally, committed: Mapping[tuple[str, int], float]) -> list[float]:
    """Return, in order, the seconds from each commit to each agent that applied it."""
    return sorted(
        max(0.0, one.at - committed[one.pool, rev])
        for one in tally.applied
        for rev in range(one.after + 1, one.rev + 1)
        if (one.pool, rev) in committed
    )


def percentile(ordered: Sequence[float], part: int) -> float:
    """Return the least value that so many in a hundred do not pass."""
    return ordered[max(0, -(-len(ordered) * part // 100) - 1)]


def show(
    tally: Tally,
    committed: Mapping[tuple[str, int], float],
    rate: float,
    *,
    spent: Spent,
    rest: Spent,
) -> None:
    """Print what was seen while the shop changed.

    Args:
        spent: What each part cost meanwhile: it holds what the fleet costs at rest, too.
        rest: What each part cost while nothing changed.
    """
    found = delays(tally, committed)
    say(f"{len(committed):,} changes, {rate:.1f} a second, were applied {len(found):,} times.")
    if found:
        parts = ", ".join(f"p{part} {percentile(found, part):.3f} s" for part in _PARTS)
        say(f"From commit to applied: {parts}, longest {found[-1]:.3f} s.")
    say(
        f"Requests: {tally.watches:,} watches, {tally.snapshots:,} snapshots,"
        f" {tally.reports:,} reports; {tally.failed:,} failed, {tally.refused:,} batches refused."
    )
    say(f"\n{'':<10}{'CPU s':>10}{'of a core':>12}{'at rest':>10}{'a change ms':>14}{'MB':>8}")
    for name, cost in spent.parts.items():
        each = 1000 * cost.seconds / max(1, len(committed))
        share, still = cost.seconds / spent.seconds, rest.parts[name].seconds / rest.seconds
        say(
            f"{name:<10}{cost.seconds:>10.1f}{share:>12.2f}{still:>10.2f}"
            f"{each:>14.1f}{cost.bytes / _MB:>8.0f}"
        )
