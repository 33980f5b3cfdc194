"""Pools of a line: devices are placed in the emptiest one, and a full line gets one more.

Source: docs/decisions/0044-sibling-pools.md
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.fleet.actions.permits import repeat
from ferriage.fleet.models import Gateway, LeftPool, Line, Pool, PoolGateway

if TYPE_CHECKING:
    from datetime import datetime

LAST_PORT: Final = 65_535
MOST_USERSPACE: Final = 65_535
"""wireguard-go takes no more peers on one interface; it answers the next one with an error."""
MOST_KERNEL: Final = 1 << 20
"""As many as Linux's own WireGuard takes on one interface."""
_MOST_INTERFACES: Final = 32_768


class NoPortLeft(FerriageError):
    """A gateway has no UDP port left for one more interface."""

    slug = "no-port-left"


class NoRoom(FerriageError):
    """All pools of a line are full, and one of its gateways can serve no more."""

    slug = "no-room"


class SizeWrong(FerriageError):
    """A limit that the gateways' WireGuard cannot keep, or below what is placed already."""

    slug = "size-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class _Room:
    """How many places are left in a line's pools, and in siblings that could be opened."""

    left: int
    size: int
    siblings: int

    @property
    def places(self) -> int:
        return self.left + self.siblings * self.size


def join(gateway: Gateway, pool: Pool) -> PoolGateway:
    """Give a gateway one more interface, for a pool. Inside a transaction of the caller's.

    Raises:
        NoPortLeft: Its ports end before.
    """
    taken = set(PoolGateway.objects.filter(gateway=gateway).values_list("interface", flat=True))
    interface = next(number for number in range(len(taken) + 1) if number not in taken)
    if interface >= _interfaces(gateway):
        raise NoPortLeft(
            _("“%s” has no UDP port left for one more interface.") % gateway.name,
            _("Give it a lower first port, or take it off another line."),
        )
    return PoolGateway.objects.create(
        pool=pool,
        gateway=gateway,
        interface=interface,
        listen_port=gateway.endpoint_port + interface,
    )


def leave(gateway: Gateway, line: Line, now: datetime) -> int:
    """Take a gateway's interfaces away that serve a line, and return how many there were.

    Inside a transaction of the caller's. What it has counted there may still be told.
    """
    members = PoolGateway.objects.filter(gateway=gateway, pool__line=line)
    pools = members.values_list("pool", flat=True)
    left = [LeftPool(gateway=gateway, pool_id=pool, left_at=now) for pool in pools]
    LeftPool.objects.bulk_create(
        left,
        update_conflicts=True,
        unique_fields=["gateway", "pool"],
        update_fields=["left_at"],
    )
    return members.delete()[0]


def place(*, line: Line, count: int, now: datetime) -> list[Pool]:
    """Take places for so many new devices of a line, each in the pool with the fewest then.

    Of equals the oldest is taken, so the same devices come to lie alike on every run. When all are
    full one more is opened on all gateways of the line. Joins the caller's transaction.

    Returns:
        A pool for each device, in order; their counters are raised already.

    Raises:
        NoRoom: One more would be needed, and a gateway has no port for it. Nothing was taken.
        StaleState: Another writer took a place first.
    """
    with writing():
        pools = {pool.pk: pool for pool in _locked(line)}
        room = [(pool.placed, pool.pk) for pool in pools.values() if pool.placed < pool.size_limit]
        heapq.heapify(room)
        chosen = []
        for _number in range(count):
            if not room:
                fresh = _open_sibling(line, list(pools.values()), now)
                pools[fresh.pk] = fresh
                room.append((0, fresh.pk))
            placed, pk = room[0]
            chosen.append(pools[pk])
            if placed + 1 < pools[pk].size_limit:
                heapq.heapreplace(room, (placed + 1, pk))
            else:
                heapq.heappop(room)
        _take(Counter(pool.pk for pool in chosen))
    return chosen


def release(*, pools: Counter[int]) -> None:
    """Give back so many places of each pool, by primary key. Joins the caller's transaction."""
    for pk, count in sorted(pools.items()):
        rows = Pool.objects.filter(pk=pk, placed__gte=count)
        if rows.update(placed=F("placed") - count) != 1:
            raise StaleState(_("Another writer changed this pool first."))


def check_room(*, line: Line, count: int) -> None:
    """Refuse what the line could not hold, before anybody pays for it.

    Raises:
        NoRoom: Neither its pools nor such as could be opened have so many places left.
    """
    if count > places_left(line=line):
        raise _no_room(line)


def places_left(*, line: Line) -> int:
    """Return how many more devices a line could take, siblings that could be opened counted in."""
    return _room(line).places


def set_size_limit(*, line: Line, limit: int, now: datetime, actor: Actor) -> Line:
    """Say how many devices each pool of a line may hold: those there are, and those to come.

    Args:
        limit: Above 65,535 only where every gateway of the line runs WireGuard in its kernel.

    Raises:
        SizeWrong: Too many for one of the gateways, or fewer than are placed already.
    """
    with writing():
        if not 0 < limit <= _most(line):
            raise SizeWrong(
                _("A pool of this line holds from 1 to %(most)d devices.") % {"most": _most(line)},
                _("More than 65,535 only where all its gateways have WireGuard in their kernel."),
            )
        rows = Pool.objects.filter(line=line)
        if rows.filter(placed__gt=limit).exists():
            raise SizeWrong(
                _("One of the line's pools holds more devices already."),
                _("A device stays in its pool, so the limit cannot fall below."),
            )
        rows.update(size_limit=limit)
        audit.record(
            now=now, actor=actor, action="line.size_limit_set", subject=line.code, limit=limit
        )
    return line


def _locked(line: Line) -> list[Pool]:
    return list(Pool.objects.select_for_update().filter(line=line).order_by("pk"))


def _take(places: Counter[int]) -> None:
    for pk, count in sorted(places.items()):
        rows = Pool.objects.filter(pk=pk, placed__lte=F("size_limit") - count)
        if rows.update(placed=F("placed") + count) != 1:
            raise StaleState(_("Another writer took the last place first."), _("Repeat it."))


def _open_sibling(line: Line, pools: list[Pool], now: datetime) -> Pool:
    """Open one more pool of a line: its permit is the first that its gateways hear of it."""
    if not _room(line).siblings:
        raise _no_room(line)
    last = pools[-1]
    pool = Pool.objects.create(line=line, size_limit=last.size_limit, mtu=last.mtu)
    repeat([pool], now)
    for gateway in _gateways(line):
        join(gateway, pool)
    audit.record(
        now=now,
        actor=Actor("system", "placement"),
        action="pool.opened",
        subject=line.code,
        pool=pool.code,
    )
    return pool


def _room(line: Line) -> _Room:
    pools = list(Pool.objects.filter(line=line).order_by("pk"))
    gateways = _gateways(line)
    served = Counter(
        PoolGateway.objects.filter(gateway__in=gateways).values_list("gateway_id", flat=True)
    )
    # A pool without gateways costs nobody a port, so one more is always to be had.
    siblings = min((_interfaces(row) - served[row.pk] for row in gateways), default=1)
    left = sum(pool.size_limit - pool.placed for pool in pools)
    return _Room(left, pools[-1].size_limit, max(0, siblings))


def _gateways(line: Line) -> list[Gateway]:
    members = PoolGateway.objects.filter(pool__line=line).values("gateway")
    return list(Gateway.objects.filter(pk__in=members).order_by("pk"))


def _interfaces(gateway: Gateway) -> int:
    """Return how many interfaces a gateway can have at most: ports count up from its first."""
    return min(_MOST_INTERFACES, LAST_PORT - gateway.endpoint_port + 1)


def _most(line: Line) -> int:
    gateways = _gateways(line)
    kernel = bool(gateways) and all(gateway.backend == "kernel" for gateway in gateways)
    return MOST_KERNEL if kernel else MOST_USERSPACE


def _no_room(line: Line) -> NoRoom:
    return NoRoom(
        _("“%s” has no room for more devices; nothing was added or charged.") % line.name,
        _("Ask the shop: its operator must give the gateways more ports, or open another line."),
    )
