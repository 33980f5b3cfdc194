"""The elements of our nft sets as we know them: read, changed, metered.

They are read whole only where they may differ from what we know; see `nft`. Their counters are
read at every look, and of slots that left they are kept before the elements go.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ferriage.agent import bulk, plane
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.usage import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ferriage import wire
    from ferriage.agent.clock import SiteClock
    from ferriage.agent.feed import Pool
    from ferriage.agent.nft import Nft, Observed
    from ferriage.agent.plane import Plane
    from ferriage.agent.quota import Quotas
    from ferriage.agent.signs import Signs
    from ferriage.agent.slots import Inner
    from ferriage.agent.usage import Counts, Meter

log = structlog.get_logger()

_SIGHT_SECONDS: Final = 3600.0
_COUNTING: Final = plane.USE[0]
_MOVING: Final = plane.TIMED | {"uplink"}
"""Sets that time and the host's own routes change."""


class Elements:
    """What is in our sets. Called by one thread at a time."""

    def __init__(
        self, nft: Nft, meter: Meter, quotas: Quotas, clock: SiteClock, signs: Signs
    ) -> None:
        self._nft = nft
        self._meter = meter
        self._quotas = quotas
        self._clock = clock
        self._signs = signs
        self._read_at, self._offset = float("-inf"), 0.0
        self._inner: frozenset[Inner] = frozenset()
        self._rules = ""
        self.live: Plane = plane.empty()

    # --- reading

    def in_sight(self) -> bool:
        """Say whether what we know still holds, and the ends in it are the right ones.

        Ends are kept in site time, so one that was learnt better moves them all; and once an hour
        all is read, since ends in a far future are moved on then.
        """
        mark = self._clock.mark()
        return (
            self._nft.unchanged()
            and abs(self._clock.now() - mark - self._offset) <= plane.DRIFT_SECONDS
            and mark - self._read_at < _SIGHT_SECONDS
        )

    def forget(self) -> None:
        """Know nothing any more, so that the next look is whole."""
        self._nft.forget()

    def look(self, pools: Mapping[str, Pool], *, whole: bool, refill: bool) -> None:
        """Read the counters, and with `whole` all elements; make tables that are not there.

        Args:
            refill: Load the rules again although the table is whole.

        Raises:
            DataPlaneError: The tables cannot be read, or not be made.
        """
        counters = self._read(pools, refill=refill) if whole else self._nft.counters()
        self._record(pools, counters)

    def line_open(self, interface: str) -> bool:
        """Say whether the line of an interface is open now."""
        ends = self.live["lines"].get(interface)
        return isinstance(ends, float) and ends > self._clock.now()

    def is_counting(self) -> bool:
        """Say whether our table is there, of the life that the meter knows."""
        observed = self._nft.read(self._clock.now())
        return observed is not None and observed.comment == self._meter.life()

    def _read(self, pools: Mapping[str, Pool], *, refill: bool) -> Mapping[str, Mapping[int, int]]:
        inner = frozenset(pool.inner for pool in pools.values())
        life, refill = self._meter.life(), refill or inner != self._inner
        if refill and life and self._nft.older() == life:
            self._nft.install(life, inner)
        mark, now = self._clock.mark(), self._clock.now()
        observed = self._nft.read(now)
        if observed is None or observed.comment != life:
            observed = self._make(pools, inner)
            self._rules = observed.rules
        elif refill or observed.rules != self._rules:
            self._nft.install(life, inner)
            self._rules = self._nft.rules()
            if not refill:
                self._signs.found("rule")
                log.warning("rules.loaded_again")
        self._inner = inner
        self.live, self._read_at, self._offset = observed.plane, mark, now - mark
        return observed.counters

    def _make(self, pools: Iterable[str], inner: Iterable[Inner]) -> Observed:
        """Make our tables anew: they are missing, not whole, or another life's."""
        self._nft.remove()
        self._nft.install(self._meter.new_life(pools), inner)
        self._quotas.emptied()
        self._signs.found("table")
        log.warning("table.made", life=self._meter.life())
        observed = self._nft.read(self._clock.now())
        if observed is None:
            raise DataPlaneError("nft loaded our table but does not show it.")
        return observed

    # --- changing

    def mend(self, wanted: Plane, now: float, *, whole: bool) -> None:
        """Make the elements be as wanted: all of them, or those that belong to no device."""
        live = self.live if whole else {name: self.live[name] for name in plane.FRAME}
        steps = plane.diff(live, wanted, now)
        self._change(steps, now)
        if any(step.name not in _MOVING for step in steps):
            self._signs.found("element")

    def replace(self, old: Plane, new: Plane, now: float) -> None:
        """Put new elements in the place of old ones; the frame's are judged whole."""
        live = plane.restrict(self.live, old, new)
        live |= {name: self.live[name] for name in plane.FRAME}
        self._change(plane.diff(live, new, now), now)

    def not_taken(self, parts: Mapping[str, Plane], now: float) -> dict[str, str]:
        """Put in the elements of devices, and return why the kernel does not take which of them.

        Halved until each one that it refuses stands alone; the others are in afterwards.

        Args:
            parts: Elements by the name of their device.
        """
        if not parts:
            return {}
        whole: Plane = {}
        for part in parts.values():
            plane.merge(whole, part)
        try:
            self._change(plane.diff(plane.restrict(self.live, whole), whole, now), now)
        except DataPlaneError as error:
            names = list(parts)
            if len(names) == 1:
                return {names[0]: str(error)}
            half = len(names) // 2
            return self.not_taken({n: parts[n] for n in names[:half]}, now) | self.not_taken(
                {n: parts[n] for n in names[half:]}, now
            )
        return {}

    def _change(self, steps: list[plane.Step], now: float) -> None:
        for step in steps:
            if step.name == _COUNTING:
                slots = (key for key, _ in step.add if isinstance(key, int))
                self._quotas.creating(slots, now)
        few, many = bulk.split(steps)
        for take, part in ((self._nft.apply, few), (self._nft.fill, many)):
            if part:
                take(part, now)
                plane.patch(self.live, part)

    # --- metering

    def _record(self, pools: Mapping[str, Pool], counters: Mapping[str, Mapping[int, int]]) -> None:
        """Record all counters, then commit and delete those of slots that left."""
        counts = pairs(counters)
        owners: dict[int, str] = {}
        held: dict[int, tuple[str, wire.Device]] = {}
        wanted: set[object] = set()
        for code in sorted(pools):  # of a device's pools the last one counts its bytes
            owners |= {device.slot: code for device in pools[code].devices.values()}
            held |= {d.slot: (code, d) for d in pools[code].usable() if d.quota is not None}
            wanted.update(device.slot for device in pools[code].usable())
        passing: set[object] = set().union(*(self.live[name] for name in plane.CAP))
        used = wanted | passing
        self._quotas.observe(counts, held, passing=passing - wanted, now=self._clock.now())
        owners |= self._meter.settle(counts, owners)
        fallback, left = next(iter(pools), ""), self._meter.left(pools)
        split: dict[str, dict[int, tuple[int, int]]] = {code: {} for code in {*pools, *left}}
        for slot, value in counts.items():
            split.setdefault(owners.get(slot, fallback), {})[slot] = value
        for code, part in split.items():
            if code:
                self._meter.record(code, part)
                self._sweep(code, {s: v for s, v in part.items() if s not in used})
        for code in left:
            if not split[code].keys() & passing:
                self._meter.end(code)

    def _sweep(self, code: str, counts: Counts) -> None:
        if not counts:
            return
        self._meter.keep(code, counts)
        gone = tuple(counts)
        steps = [
            plane.Step(name, tuple(slot for slot in gone if slot in self.live[name]), ())
            for name in plane.USE
        ]
        self._change(steps, self._clock.now())
        self._meter.swept(code, gone)
