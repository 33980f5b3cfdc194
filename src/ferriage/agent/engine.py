"""Brings the data plane to what the feed says: reads what is, changes only what differs.

Never replaces the whole. A peer whose state matches is not touched: its endpoint and handshake
live in it, and touching it would cost that customer seconds. All methods are called by one
thread at a time.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from ferriage.agent import feed, flows, host, plane, rewound, status
from ferriage.agent.desired import Desired
from ferriage.agent.elements import Elements
from ferriage.agent.errors import BatchRefused, DataPlaneError
from ferriage.agent.mending import Mender
from ferriage.agent.peers import Peers
from ferriage.agent.signs import Signs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ferriage import wire
    from ferriage.agent.backend import Backend
    from ferriage.agent.clock import SiteClock
    from ferriage.agent.identity import Identity
    from ferriage.agent.nft import Nft
    from ferriage.agent.quota import Quotas
    from ferriage.agent.store import Store
    from ferriage.agent.usage import Meter
    from ferriage.config import Config

log = structlog.get_logger()


class Taken(NamedTuple):
    """What a batch touched: devices as they were, and the names of those that came or changed."""

    pool: feed.Pool
    before: Mapping[str, wire.Device]
    puts: tuple[str, ...]


class Engine:
    """One gateway's desired state, and what was last read of its data plane."""

    def __init__(
        self,
        *,
        config: Config,
        identity: Identity,
        store: Store,
        clock: SiteClock,
        backend: Backend,
        nft: Nft,
        meter: Meter,
        quotas: Quotas,
    ) -> None:
        self._config = config
        self._identity = identity
        self._store = store
        self._clock = clock
        self._backend = backend
        self.signs = Signs(clock)
        self._elements = Elements(nft, meter, quotas, clock, self.signs)
        self._mender = Mender(self._elements)
        self._quotas = quotas
        self._cut: frozenset[int] = frozenset()
        self._peers = Peers(config.agent, backend, probe_key=store.get("probe_key"))
        self._applied: dict[str, status.Applied] = {}
        self._uplinks: frozenset[str] = frozenset()
        self.pools: dict[str, feed.Pool] = {}
        self.load()

    @property
    def backend_name(self) -> str:
        """Which WireGuard this gateway runs."""
        return self._backend.name

    @property
    def handshake_seen(self) -> bool:
        """Whether a customer's handshake was seen since the start."""
        return self._peers.handshake_seen

    def element_counts(self) -> dict[str, int]:
        """Return how many elements each set has."""
        return {name: len(elements) for name, elements in self._elements.live.items()}

    def load(self) -> None:
        """Take the persisted pools; a permit that no longer verifies opens nothing."""
        permits = self._store.permits()
        self.pools = {}
        for stored in self._store.pools():
            line = stored.assignment.line
            pool = feed.Pool.of(stored)
            if line in permits:
                pool.permit = self._persisted_permit(line, permits[line])
                pool.signed = permits[line] if pool.permit else None
            self.pools[stored.assignment.pool] = pool

    def _persisted_permit(self, line: str, signed: wire.SignedPermit) -> wire.Permit | None:
        try:
            return feed.open_permit(signed, line=line, permit_key=self._identity.permit_key)
        except BatchRefused as error:
            log.error("permit.refused", line=line, reason=str(error))  # noqa: TRY400 -- told, not traced
            return None

    def interface(self, pool: feed.Pool) -> str:
        """Return the name of a pool's WireGuard interface on this host."""
        return self._peers.interface(pool)

    # --- the whole

    def assign(self, pools: Iterable[wire.PoolAssignment], hub_url: str) -> bool:
        """Take over which pools this gateway serves; True when that changed anything."""
        pools = tuple(pools)
        held = {pool.assignment.pool: pool.assignment for pool in self.pools.values()}
        if held == {pool.pool: pool for pool in pools} and self._store.get("hub_url") == hub_url:
            return False
        before = {self.interface(pool) for pool in self.pools.values()}
        self._store.save_assignments(pools, hub_url)
        self.load()
        self._elements.forget()
        self.signs.settled = False
        self.reconcile()
        for name in before - {self.interface(pool) for pool in self.pools.values()}:
            self._backend.drop(name)
        log.info("pools.assigned", pools=sorted(self.pools))
        return True

    def close(self) -> None:
        """Forget all pools and take every interface of ours down; done twice it is the same.

        Raises:
            DataPlaneError: Something is still there; repeat it.
        """
        self.assign((), self._store.get("hub_url"))
        self.reconcile()
        for name in host.interfaces(self._config.agent.interface_prefix):
            self._backend.drop(name)
        log.warning("gateway.closed")

    def admit_probe(self, key: str) -> None:
        """Let the site's probe try a handshake here from now on; empty text lets none."""
        if key != self._peers.probe_key:
            self._store.put("probe_key", key)
            self._peers.probe_key = key
            self.signs.settled = False
            self.reconcile()

    def start(self) -> None:
        """Bring everything up from the cache, with the rules of this release."""
        self.reconcile(refill=True)

    def is_counting(self) -> bool:
        """Say whether the kernel's counters are those that our state directory speaks of."""
        return self._elements.is_counting()

    def reconcile(self, *, refill: bool = False) -> None:
        """Look at the data plane, mend what differs, and meter.

        Elements are read only if they may differ from what we know; peers always. The tables
        stand before anything is forwarded or any tunnel comes up.

        Args:
            refill: Load the rules again although the table is whole.

        Raises:
            DataPlaneError: Something could not be read or mended; the next call tries again.
        """
        self.signs.begin()
        whole = refill or not self._elements.in_sight()
        self._elements.look(self.pools, whole=whole, refill=refill)
        self._cut_used_up(apply=not whole)
        self._uplinks = host.uplinks(self._config.agent.uplink)
        host.forward(self._uplinks, self._config.agent.run_dir)
        before = self._peers.known()
        lost = self._peers.look(self.pools.values(), private_key=self._identity.wireguard_key)
        self.signs.found_all("route", self._peers.astray)
        now = self._clock.now()
        self._mender.mend(self._desired(), now, whole=whole)
        for code, pool in self.pools.items():
            name = self.interface(pool)
            found = self._peers.of(name)
            changes = self._peers.changes(pool)
            if name in lost or self._peers.are_news(pool, changes):
                self.signs.found("interface" if name in lost else "peer", code)
            self._peers.apply(pool, changes)
            if whole or before.get(name) != found:
                self._judge(pool, self._applied_to(code).known() | pool.devices.keys(), now)
        for name in lost:
            self._peers.wake(name)
        if not self.aside:
            self.signs.settle()

    def sample(self) -> bool:
        """Meter, and hold or open whose quota is used up or came anew; True when that changed.

        Raises:
            DataPlaneError: As `reconcile`.
        """
        self._elements.look(self.pools, whole=False, refill=False)
        return self._cut_used_up(apply=True)

    @property
    def cut(self) -> frozenset[int]:
        """The slots that are held because their quota is used up."""
        return self._cut

    def _cut_used_up(self, *, apply: bool) -> bool:
        used_up = self._quotas.used_up()
        changed, self._cut = used_up ^ self._cut, used_up
        if not changed:
            return False
        now = self._clock.now()
        desired = self._desired()
        old, new = desired.frame(now), desired.frame(now)
        for pool in self.pools.values():
            for device in pool.usable():
                if device.slot in changed:
                    plane.merge(old, plane.of_device(device, 0, self.interface(pool)))
                    plane.merge(new, desired.of(device, pool, now))
        log.info("quotas.used_up", held=len(used_up), changed=len(changed))
        if apply:
            self._elements.replace(old, new, now)
            for pool in self.pools.values():
                self._judge(pool, [d.id for d in pool.usable() if d.slot in changed], now)
        return True

    def damaged(self) -> bool:
        """Say, at the price of a system call, whether an interface is gone."""
        return host.missing(map(self.interface, tuple(self.pools.values())), but=self.aside)

    @property
    def aside(self) -> dict[str, str]:
        """Why which interfaces are not served, while all others are."""
        return self._peers.aside

    def _desired(self) -> Desired:
        return Desired(self.pools, self.interface, self._uplinks, self._cut)

    def _applied_to(self, code: str) -> status.Applied:
        return self._applied.setdefault(code, status.Applied())

    def _judge(self, pool: feed.Pool, names: Iterable[str], now: float) -> None:
        name = self.interface(pool)
        self._applied_to(pool.assignment.pool).judge(
            pool,
            names,
            interface=name,
            peers=self._peers.of(name),
            live=self._elements.live,
            cut=self._cut,
            now=now,
        )

    # --- batches

    def permitted(self) -> dict[str, str]:
        """Return by pool what its permit says of the line."""
        return {code: pool.permit.state for code, pool in self.pools.items() if pool.permit}

    def take(self, batch: wire.Batch) -> Taken:
        """Judge, persist and apply a batch; return what it touched.

        Raises:
            BatchRefused: Nothing changed.
            DataPlaneError: Persisted, but not wholly applied; `reconcile` tries again.
        """
        pool = self.pools.get(batch.begin.pool)
        if pool is None:
            raise BatchRefused(f"pool {batch.begin.pool} is not ours")
        change = feed.judge(
            pool, batch, permit_key=self._identity.permit_key, now=self._clock.now()
        )
        before = self._affected(pool, change)
        self._store.save_batch(
            change,
            leaving=self._counted_elsewhere(pool, change),
            stands_rev=pool.stands_since(change),
        )
        if pool.epoch not in {"", change.begin.epoch}:
            self._quotas.tell_again()
        self._quotas.expect(change.begin.pool, change.puts.values())
        if change.gone:
            self._mender.retry()
        closed = [each for each in self._siblings(pool) if not self._is_open(each)]
        settled, self.signs.settled = self.signs.settled, False
        pool.take(change)
        for sibling in self._siblings(pool):
            sibling.hear(pool)
        if change.begin.batch == "snapshot":
            self._elements.forget()
            self.reconcile()
        else:
            self._apply_delta(pool, before, change)
            self.signs.settled = settled
        self._forget(pool, before, [each for each in closed if self._is_open(each)])
        log.info(
            "batch.applied",
            pool=change.begin.pool,
            kind=change.begin.batch,
            rev=change.begin.rev,
            puts=len(change.puts),
            gone=len(change.gone),
            deferred=len(pool.deferred),
        )
        return Taken(pool, before, tuple(change.puts))

    def _counted_elsewhere(self, pool: feed.Pool, change: feed.Change) -> Iterator[tuple[int, str]]:
        """Yield slots whose bytes another pool counts after a change, or none, and who did so far.

        Of a device's pools the last one counts, by its code.
        """
        here = pool.assignment.pool
        for name in change.gone | change.puts.keys():
            holders = {code for code, each in self.pools.items() if name in each.devices}
            if not holders:
                continue
            last, put = max(holders), change.puts.get(name)
            slot = self.pools[last].devices[name].slot
            after = max(holders | {here} if put else holders - {here}, default="")
            if after != last or (put is not None and after == here and put.slot != slot):
                yield slot, last

    @staticmethod
    def _affected(pool: feed.Pool, change: feed.Change) -> dict[str, wire.Device]:
        """Return devices as they run; of one that was refused nothing is there to be taken out."""
        names: Iterable[str] = change.gone | change.puts.keys()
        if change.begin.batch == "snapshot":
            names = pool.devices
        return {n: pool.devices[n] for n in names if n in pool.devices and n not in pool.refused}

    def _apply_delta(
        self, pool: feed.Pool, before: Mapping[str, wire.Device], change: feed.Change
    ) -> None:
        now = self._clock.now()
        desired = self._desired()
        old, new = desired.frame(now), desired.frame(now)
        here = self.interface(pool)
        for device in before.values():
            plane.merge(old, plane.of_device(device, 0, here))
        for name in before.keys() | change.puts.keys():
            plane.merge(new, desired.elsewhere(name, pool, now))
        for name in change.puts:
            if name not in pool.refused:
                plane.merge(new, desired.of(pool.devices[name], pool, now))
        try:
            self._elements.replace(old, new, now)
        except DataPlaneError:
            self._elements.forget()
            self.reconcile()  # finds out whose record it is, if it is one's
            return
        self._peers.apply(pool, self._peers.changes(pool, before.values(), change.puts))
        self._judge(pool, before.keys() | change.puts.keys(), now)

    def _siblings(self, pool: feed.Pool) -> list[feed.Pool]:
        """Return the pools of a pool's line: what one is told of the line holds for all."""
        line = pool.assignment.line
        return [each for each in self.pools.values() if each.assignment.line == line]

    def _is_open(self, pool: feed.Pool) -> bool:
        return self._elements.line_open(self.interface(pool))

    def _forget(
        self, pool: feed.Pool, before: Mapping[str, wire.Device], opened: Iterable[feed.Pool]
    ) -> None:
        """Delete connections that must not live on into what a device may do now."""
        gone, renewed = flows.outlived(pool, before, opened, self._clock.now())
        flows.forget(gone)
        host.forget_redirected(renewed, hold_port=self._config.agent.hold_port)

    # --- reporting

    def refused(self) -> dict[str, dict[str, str]]:
        """Return why which devices of which pool are not served."""
        return {
            code: pool.refused
            | dict.fromkeys(pool.off(), rewound.WAITS)
            | dict(self._peers.not_taken(code))
            for code, pool in self.pools.items()
        }

    def status(self) -> tuple[wire.PoolStatus, ...]:
        """Return what runs, as it was last read back."""
        refused = self.refused()
        return tuple(
            status.of_pool(
                pool,
                digest=self._applied_to(code).digest,
                peers=self._peers.customers(pool),
                line_open=self._is_open(pool),
                refused=refused[code],
            )
            for code, pool in self.pools.items()
        )
