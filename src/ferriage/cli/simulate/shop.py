"""A shop for simulated gateways: an invented seller's lines, each with a pool of devices.

Lines, gateways and permits are made by the real actions. Devices are entered into the pools' feeds
alone, many at a time: nobody bought them, and gateways cannot tell.
"""

from __future__ import annotations

import ipaddress
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import batched, count
from typing import TYPE_CHECKING, Final

import msgspec

from ferriage import wire
from ferriage.approvals import actions as approvals
from ferriage.approvals.site import evidence_dir, packs_in_force
from ferriage.cli.simulate.agents import Goal
from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.codes import new_code
from ferriage.core.models import SiteState
from ferriage.fleet import actions as fleet
from ferriage.fleet import feed
from ferriage.fleet.models import Pool, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ferriage.fleet.models import Line

_OLGA: Final = Actor("staff", "olga")
_VERA: Final = Actor("staff", "vera")
_PLACE: Final = "XD"
_CHUNK: Final = 500
_MONTH: Final = 30 * 86400


@dataclass
class Shop:
    """The pools, what they hold, and when each change was committed."""

    pools: list[Pool]
    held: dict[int, list[wire.Device]]
    numbers: Iterator[int]
    networks: tuple[ipaddress.IPv4Network, ipaddress.IPv6Network]
    committed: dict[tuple[str, int], float] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 -- a choice to repeat

    def change(self) -> None:
        """Commit one change to one pool: a renewal, a new device, or a removal."""
        pool = self.dice.choice(self.pools)
        held = self.held[pool.pk]
        kind = self.dice.choice(("renew", "renew", "add", "remove"))
        item: feed.FeedItem
        if kind == "renew" and held:
            place = self.dice.randrange(len(held))
            held[place] = _longer(held[place])
            item = feed.FeedPut(held[place])
        elif kind == "remove" and len(held) > 1:
            item = feed.FeedDel(held.pop(self.dice.randrange(len(held))).id)
        else:
            held.append(self.device())
            item = feed.FeedPut(held[-1])
        rev = feed.append(pool=pool, items=[item], now=clock.now())
        self.committed[pool.code, rev] = time.monotonic()

    def device(self) -> wire.Device:
        """Return a device that nobody has."""
        number = next(self.numbers)
        ends = int(clock.now().timestamp()) + _MONTH
        return wire.Device(
            id=new_code("dev"),
            generation=1,
            slot=number,
            public_key=wire.new_private_key(),
            ip4=str(self.networks[0][number]),
            ip6=str(self.networks[1][number]),
            rate_down_bps=100_000_000,
            rate_up_bps=100_000_000,
            burst_bytes=1_250_000,
            hold_at=ends,
            hold_reason="term",
            remove_at=ends + _MONTH,
        )

    def goals(self) -> dict[str, Goal]:
        """Return what the database holds of each pool now."""
        epoch = SiteState.objects.get().epoch
        rows = Pool.objects.values_list("code", "revision", "digest")
        return {code: Goal(epoch, rev, digest) for code, rev, digest in rows}

    def told(self) -> int:
        """Return how many gateways the site believes to be behind, of what they reported last."""
        epoch = SiteState.objects.get().epoch
        rows = PoolGateway.objects.values_list(
            "applied_epoch", "applied_rev", "applied_digest", "pool__revision", "pool__digest"
        )
        return sum((e, rev, digest) != (epoch, *wanted) for e, rev, digest, *wanted in rows)


def _longer(device: wire.Device) -> wire.Device:
    return msgspec.structs.replace(
        device, hold_at=device.hold_at + _MONTH, remove_at=device.remove_at + _MONTH
    )


def fill(*, gateways: int, pools: int, devices: int) -> tuple[Shop, tuple[str, ...]]:
    """Fill a new shop; return it and a one-time token for each gateway.

    Gateway n serves pool n modulo `pools`, and each pool has its share of the devices.
    """
    lines = _open_lines(pools)
    state = SiteState.objects.get()
    shop = Shop(
        pools=list(Pool.objects.order_by("pk")),
        held={},
        numbers=count(state.next_slot),
        networks=(ipaddress.IPv4Network(state.inner4), ipaddress.IPv6Network(state.inner6)),
    )
    for number, pool in enumerate(shop.pools):
        share = devices // pools + (number < devices % pools)
        shop.held[pool.pk] = [shop.device() for _ in range(share)]
        for part in batched(shop.held[pool.pk], _CHUNK):
            feed.append(pool=pool, items=[feed.FeedPut(one) for one in part], now=clock.now())
    tokens = tuple(_gateway(number, lines[number % pools]) for number in range(gateways))
    return shop, tokens


def _open_lines(number: int) -> list[Line]:
    now = clock.now()
    party = approvals.create_party(
        name="A seller in Demoland (invented)", place=_PLACE, now=now, actor=_OLGA
    )
    lines = [
        fleet.create_line(
            name=f"Line {one + 1}",
            party=party,
            enter_place=_PLACE,
            exit_place=_PLACE,
            sell_places=[_PLACE],
            customer_class="public",
            use="resale",
            now=now,
            actor=_OLGA,
        )
        for one in range(number)
    ]
    _approve(lines, now)
    return [fleet.put_in_service(line=line, now=now, actor=_OLGA) for line in lines]


def _approve(lines: list[Line], now: datetime) -> None:
    approval = approvals.record_approval(
        kind="XD-PUBLIC-VPN",
        holder=lines[0].party,
        line_codes=[line.code for line in lines],
        packs=packs_in_force(),
        now=now,
        actor=_OLGA,
    )
    today = now.date()
    approvals.grant(
        approval=approval,
        issued=approvals.Issued(
            number="INVENTED-1", valid_from=today, valid_to=today + timedelta(days=365)
        ),
        file=approvals.EvidenceFile(
            data=b"An invented licence.", title="Licence (invented)", media_type="text/plain"
        ),
        store_dir=evidence_dir(),
        now=now,
        actor=_OLGA,
    )
    approvals.verify(approval=approval, now=now, actor=_VERA)


def _gateway(number: int, line: Line) -> str:
    made = fleet.create_gateway(
        name=f"gateway {number + 1}",
        place=_PLACE,
        endpoint_host="192.0.2.1",
        endpoint_port=51820,
        now=clock.now(),
        actor=_OLGA,
    )
    fleet.assign(gateway=made.gateway, line=line, now=clock.now(), actor=_OLGA)
    return made.token
