"""Counts the bytes of devices with a quota, and says whose are used up. Only theirs, by device.

Values are absolute within an incarnation, one life of a counting element: the site takes the
greatest it was told, so nothing of a report that is lost, doubled or late counts twice. They stay
in memory, are written to disk once an hour and at the end, and outlive this process in the kernel.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from ferriage import wire
from ferriage.agent.store import Element

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping

    from ferriage.agent.store import Store
    from ferriage.agent.usage import Counts

log = structlog.get_logger()

SAVE_SECONDS: Final = 3600.0
LONGEST_SECONDS: Final = 10.0
SHORTEST_SECONDS: Final = 1.0


class Quotas:
    """The counters of devices with a quota. Called by one thread at a time.

    What a report and its answer ask for is kept as it changes, so a report that follows a change
    of one device costs no look at all the others.
    """

    def __init__(self, store: Store, boot: str, *, least: int = 1) -> None:
        """Count for this boot; no incarnation's number is below `least`."""
        self._store = store
        self._boot = boot
        self._number = max(store.last_number("element"), least - 1)
        self._expected: dict[int, tuple[str, wire.Device]] = {}
        self._asked: tuple[int, dict[int, wire.Usage]] = (0, {})
        self._saved_at = 0.0
        self._records: dict[int, tuple[str, wire.Device]] = {}
        self._lost = store.lost()
        self._forget()
        for slot, element in store.elements().items():
            self._put(slot, element)

    def _forget(self) -> None:
        """Know of no counter."""
        self._elements: dict[int, Element] = {}
        self._slots: dict[str, int] = {}
        self._used_up: set[int] = set()
        self._told: dict[int, wire.Usage] = {}
        self._new: dict[int, None] = {}
        self._changed: dict[int, None] = {}

    def _put(self, slot: int, element: Element) -> None:
        """Take over how the counter of a slot stands."""
        self._lost.pop(slot, None)
        before = self._elements.get(slot)
        if element == before:
            return
        if before is not None:
            del self._slots[before.incarnation]
        self._elements[slot] = element
        self._slots[element.incarnation] = slot
        (self._used_up.add if element.used >= element.limit else self._used_up.discard)(slot)
        told = self._told.get(slot)
        if told is None:
            self._new[slot] = None
        elif told != _usage(element, final=False):
            self._changed[slot] = None

    def _drop(self, slot: int) -> None:
        """Let go of the counter of a slot."""
        del self._slots[self._elements.pop(slot).incarnation]
        self._used_up.discard(slot)
        for told in (self._told, self._new, self._changed):
            told.pop(slot, None)

    def expect(self, pool: str, devices: Iterable[wire.Device]) -> None:
        """Note devices of a pool whose elements may be about to be made."""
        self._expected |= {device.slot: (pool, device) for device in devices if device.quota}

    def creating(self, slots: Iterable[int], now: float) -> None:
        """Count from the first byte, before it is so, that these slots get a new element.

        So a device that goes again before anybody has looked is counted all the same. However
        many there are, they are kept by one transaction.
        """
        begun: dict[int, Element] = {}
        gone: dict[int, wire.Usage] = {}
        for slot in slots:
            record = self._expected.get(slot) or self._records.get(slot)
            if record is None:
                continue
            if slot in self._elements:
                self._lost[slot] = self._elements[slot]
                gone[slot] = _usage(self._elements[slot], final=True)
            begun[slot] = self._begin(slot, *record, (0, 0), now)
        self._keep(begun, gone)
        for slot, element in begun.items():
            self._put(slot, element)

    def emptied(self) -> None:
        """Note that all elements are made anew: what the old ones had shown is final.

        What was left to each device goes on in its next element. Otherwise whoever had used up all
        would pass until the site has answered, and have the whole quota again while it is away.
        It is on disk until then: an agent may end before the next elements are begun.
        """
        lost = self._elements
        final = {slot: _usage(element, final=True) for slot, element in lost.items()}
        self._store.save_elements({}, gone=final, lost=lost)
        self._lost |= lost
        self._forget()

    def tell_again(self) -> None:
        """Report every value once more: the site's database may have lost them."""
        self._told, self._changed = {}, {}
        self._new = dict.fromkeys(self._elements)

    def dropped(self) -> None:
        """Note that the store has no counters any more, and nothing of them is to be told."""
        self._forget()
        self._lost = {}

    def observe(
        self,
        counts: Counts,
        devices: Mapping[int, tuple[str, wire.Device]],
        *,
        passing: Container[object] = (),
        now: float,
    ) -> None:
        """Take over what the elements show; nothing of it where that cannot be kept.

        Args:
            devices: Pool and record by slot; only those with a quota are counted.
            passing: Slots that no device has any more, but through which packets pass yet.
            now: Site time.
        """
        before, self._records = self._records, {s: d for s, d in devices.items() if d[1].quota}
        self._expected = {}
        for slot, record in self._records.items():
            if before.get(slot) != record:  # what it may use may be another now: ask
                self._ask(slot)
        self._follow()
        self._lost = {
            slot: element
            for slot, element in self._lost.items()
            if self._left(slot, self._records.get(slot), now) is not None
        }
        gone = self._leaving(counts, passing)
        begun, found = set(), {}
        for slot in self._records.keys() & counts.keys():
            shown = counts[slot]
            known = None if slot in gone else self._elements.get(slot)
            emptied = known is not None and _is_less(shown, known)
            if known is not None and emptied:
                self._lost[slot] = known
                gone[slot] = _usage(known, final=True)
            elif known is not None and _is_over(known, self._records[slot][1], now):
                gone[slot] = _usage(_seen(known, shown), final=True)
            if known is None or slot in gone:
                base = (0, 0) if emptied else shown
                known = self._begin(slot, *self._records[slot], base, now)
                begun.add(slot)
            found[slot] = _run_on(known, shown, self._records[slot][1], now)
        self._keep({slot: found[slot] for slot in begun}, gone)
        for slot in gone.keys() - found.keys():
            self._drop(slot)
        for slot, element in found.items():
            self._put(slot, element)
        if now - self._saved_at >= SAVE_SECONDS:
            self.save(now)

    def _ask(self, slot: int) -> None:
        """Tell of a device as if the site had never heard of it, so that it says how far."""
        if slot in self._elements:
            self._told.pop(slot, None)
            self._changed.pop(slot, None)
            self._new[slot] = None

    def _follow(self) -> None:
        """Count a device on in another of its pools, where the gateway has left the one before."""
        for slot, (pool, held) in self._records.items():
            element = self._elements.get(slot)
            if element is not None and element.device == held.id and element.pool != pool:
                self._put(slot, msgspec.structs.replace(element, pool=pool))

    def _leaving(self, counts: Counts, passing: Container[object]) -> dict[int, wire.Usage]:
        """Return what is final of those that are not counted any more.

        Their elements are unmapped, so what these show is the last of it; those that are yet to be
        wait for the next look.
        """
        gone = {}
        for slot, element in self._elements.items():
            held, shown = self._records.get(slot), counts.get(slot)
            if (held is not None and held[1].id == element.device) or slot in passing:
                continue
            whole = shown is not None and not _is_less(shown, element)
            last = _seen(element, shown) if whole and shown else element
            gone[slot] = _usage(last, final=True)
        return gone

    def save(self, now: float) -> None:
        """Write all values to disk."""
        self._store.save_elements(self._elements)
        self._saved_at = now

    def _keep(self, begun: Mapping[int, Element], gone: Mapping[int, wire.Usage]) -> None:
        """Write to disk, in one transaction, what begins and what is final."""
        if begun or gone:
            self._store.save_elements(begun, gone=gone, last_number=self._number)

    def allow(self, allowances: Iterable[wire.Allowance]) -> None:
        """Take over how far counters may run; of another incarnation it is passed over."""
        for allowance in allowances:
            slot = self._slots.get(allowance.incarnation)
            if slot is None or self._elements[slot].device != allowance.device:
                continue
            self._put(slot, msgspec.structs.replace(self._elements[slot], limit=allowance.bytes))

    def used_up(self) -> frozenset[int]:
        """Return the slots whose quota is used up."""
        lost = (slot for slot, element in self._lost.items() if element.used >= element.limit)
        return frozenset(self._used_up.union(lost))

    def pause(self) -> float:
        """Return the seconds after which to look again: by then the first could be used up."""
        seconds = LONGEST_SECONDS
        for slot, element in self._elements.items():
            left = element.limit - element.used
            held = self._records.get(slot)
            if left > 0 and held is not None:
                rates = held[1].rate_down_bps + held[1].rate_up_bps
                seconds = min(seconds, left * 8 / rates)
        return max(seconds, SHORTEST_SECONDS)

    def counts_any(self) -> bool:
        """Say whether any device has a quota."""
        return bool(self._elements)

    def usage(
        self, pools: Collection[str] | None, sequence: int, *, most: int
    ) -> tuple[tuple[wire.Usage, ...], bool]:
        """Return what the site does not know yet, and whether there is more than `most` of it.

        Those that it was never told of come first, then those of whom it heard longest ago.

        Args:
            pools: Only of these; None for whichever pool it is, also one that was left.
        """
        waiting = list(islice(self._waiting(pools), most + 1))
        asked = dict(waiting[:most])
        self._asked = sequence, asked
        return tuple(asked.values()), len(waiting) > most

    def _waiting(self, pools: Collection[str] | None) -> Iterator[tuple[int, wire.Usage]]:
        for slot in chain(self._new, self._changed):
            element = self._elements[slot]
            if pools is None or element.pool in pools:
                yield slot, _usage(element, final=False)

    def acknowledged(self, sequence: int) -> None:
        """Note that the site took over the report with this number; another one's is not meant."""
        number, asked = self._asked
        if number != sequence:
            return
        for slot in asked.keys() & self._elements.keys():
            self._told[slot] = asked[slot]
            self._new.pop(slot, None)
            self._changed.pop(slot, None)  # and to the end of the row, if it went on meanwhile
            if asked[slot] != _usage(self._elements[slot], final=False):
                self._changed[slot] = None
        self._asked = (0, {})

    def _begin(
        self, slot: int, pool: str, held: wire.Device, base: tuple[int, int], now: float
    ) -> Element:
        """Begin an incarnation of what an element shows above `base`.

        Where the record's month is over it has the record's bytes once, by ourselves; when the
        next month ends only the site can know.
        """
        self._number += 1
        quota = held.quota
        assert quota is not None  # noqa: S101 -- only such devices are counted
        left = self._left(slot, (pool, held), now)
        log.info("quota.counted", device=held.id, slot=slot)
        return Element(
            device=held.id,
            pool=pool,
            incarnation=f"{self._boot}.e{self._number}",
            base_down=base[0],
            base_up=base[1],
            limit=quota.bytes if left is None else left,
            reset_at=quota.resets_at if quota.resets_at > now else 0,
        )

    def _left(self, slot: int, record: tuple[str, wire.Device] | None, now: float) -> int | None:
        """Return what was left to a device whose element was lost; None where it begins anew."""
        lost = self._lost.get(slot)
        if lost is None or record is None or record[1].id != lost.device:
            return None
        return None if _is_over(lost, record[1], now) else max(0, lost.limit - lost.used)


def _is_over(element: Element, held: wire.Device, now: float) -> bool:
    """Tell whether the month that an incarnation counts in has ended, by itself or by the site.

    Bytes of two months are never in one incarnation, so a late report of it is counted rightly.
    """
    quota = held.quota
    assert quota is not None  # noqa: S101 -- only such devices are counted
    if element.reset_at == 0:
        return False
    return element.reset_at <= now or now < quota.resets_at != element.reset_at


def _run_on(element: Element, shown: tuple[int, int], held: wire.Device, now: float) -> Element:
    """Return a counter as it stands now, with the end of its month once the site has told it."""
    quota = held.quota
    assert quota is not None  # noqa: S101 -- only such devices are counted
    element = _seen(element, shown)
    if element.reset_at == 0 and quota.resets_at > now:
        return msgspec.structs.replace(element, reset_at=quota.resets_at)
    return element


def _seen(element: Element, shown: tuple[int, int]) -> Element:
    return msgspec.structs.replace(
        element, seen_down=shown[0] - element.base_down, seen_up=shown[1] - element.base_up
    )


def _is_less(shown: tuple[int, int], element: Element) -> bool:
    return (
        shown[0] - element.base_down < element.seen_down
        or shown[1] - element.base_up < element.seen_up
    )


def _usage(element: Element, *, final: bool) -> wire.Usage:
    return wire.Usage(
        pool=element.pool,
        incarnation=element.incarnation,
        device=element.device,
        bytes_down=element.seen_down,
        bytes_up=element.seen_up,
        final=final,
        resets_at=element.reset_at,
    )
