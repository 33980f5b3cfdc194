"""What the feed says a pool must run, and whether a batch may be taken over. Pure.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import force_setattr

from ferriage import wire
from ferriage.agent import breaker, rewound, slots
from ferriage.agent.backend import Link
from ferriage.agent.errors import BatchRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ferriage.agent.store import StoredPool

_MODULUS = 1 << 256
_ALIKE = ("rate_down_bps", "rate_up_bps", "burst_bytes", "language", "hold_reason")


@dataclass(frozen=True)
class Change:
    """A batch that was judged good, in the order in which it is applied.

    `gone` names devices that go for good, `buried` those of them that a delete named; `puts` are
    added or replaced; `deferred` are those that a snapshot did not name and that stay all the
    same; `stands` is what stands against records afterwards.
    """

    begin: wire.Begin
    puts: dict[str, wire.Device]
    gone: frozenset[str]
    deferred: frozenset[str]
    permit: tuple[wire.Permit, wire.SignedPermit] | None
    buried: frozenset[str] = frozenset()
    stands: dict[str, rewound.Stand] = field(default_factory=dict)


@dataclass
class Pool:
    """One pool: its assignment, the records of the feed, and which of them cannot be applied.

    `deferred` are devices that the feed has not any more; `digest` is of all others. `past` are
    the epochs that were left for a later one. `devices` are records as they are applied; where
    something of `stands` is against the feed's, that one is in `said`.
    """

    assignment: wire.PoolAssignment
    epoch: str = ""
    rev: int = 0
    permit: wire.Permit | None = None
    signed: wire.SignedPermit | None = None
    devices: dict[str, wire.Device] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, int] = field(default_factory=dict)
    digest: int = 0
    deferred: set[str] = field(default_factory=set)
    deferred_rev: int = 0
    past: set[str] = field(default_factory=set)
    head: wire.Begin | None = None
    stands: dict[str, rewound.Stand] = field(default_factory=dict)
    stands_rev: int = 0
    buried: set[str] = field(default_factory=set)
    said: dict[str, wire.Device] = field(default_factory=dict)
    _claims: dict[object, str] = field(default_factory=dict)
    """Who holds an address, key or slot: by its bare value, which tells what it is."""
    _values: dict[object, object] = field(default_factory=dict)
    inner: slots.Inner = field(init=False)

    def __post_init__(self) -> None:
        self.inner = slots.inner(self.assignment)

    @classmethod
    def of(cls, stored: StoredPool) -> Pool:
        """Return a pool as it was persisted."""
        pool = cls(stored.assignment, stored.epoch, stored.rev, past=stored.past)
        pool.head, pool.buried = stored.head, stored.buried
        pool.stands, pool.stands_rev = stored.stands, stored.stands_rev
        for device in stored.devices.values():
            pool._join(device)
        pool._defer(stored.deferred, max(stored.deferred.values(), default=0))
        return pool

    def link(self, name: str, private_key: str) -> Link:
        """Return the pool's WireGuard interface as it should be."""
        return Link(
            name=name,
            private_key=private_key,
            listen_port=self.assignment.listen_port,
            addresses=(self.assignment.gateway4, self.assignment.gateway6),
            mtu=self.assignment.mtu,
        )

    def usable(self) -> Iterable[wire.Device]:
        """Return the devices that may be applied."""
        return (device for device in self.devices.values() if device.id not in self.refused)

    def open_until(self) -> int:
        """Return when the line ends; 0 when it is not open or no permit was ever seen."""
        permit = self.permit
        return permit.open_until if permit is not None and permit.state == "open" else 0

    def take(self, change: Change) -> None:
        """Take over a change: removals first, so that what they held is free again."""
        for name in change.gone | (self.devices.keys() & change.puts.keys()):
            self._leave(name)
        self.stands, self.stands_rev = dict(change.stands), self.stands_since(change)
        self.buried |= change.buried
        self.buried -= change.puts.keys()
        for device in change.puts.values():
            self._join(device)
        if change.begin.batch == "snapshot":
            self._defer(change.deferred, change.begin.rev)
            if self.epoch not in {"", change.begin.epoch}:
                self.past.add(self.epoch)
        if change.permit is not None:
            self.permit, self.signed = change.permit
        self.epoch, self.rev, self.head = change.begin.epoch, change.begin.rev, change.begin

    def stands_since(self, change: Change) -> int:
        """Return the snapshot since which something stands once a change is taken over."""
        return self.stands_rev if self.epoch == change.begin.epoch else change.begin.rev

    def hear(self, sibling: Pool) -> None:
        """Take over a newer permit that another pool of the line was told first."""
        told, known = sibling.permit, self.permit
        if told is not None and (known is None or told.serial > known.serial):
            self.permit, self.signed = told, sibling.signed

    def kept_back(self) -> wire.Deferred | None:
        """Return what waits for staff, as it is reported; None when nothing does."""
        if not self.deferred:
            return None
        return self._waiting(self.deferred, self.deferred_rev)

    def kept_off(self) -> wire.Deferred | None:
        """Return who is off until staff let them on, as it is reported; None when nobody is."""
        off = self.off()
        return self._waiting(off, self.stands_rev) if off else None

    def off(self) -> frozenset[str]:
        """Return the devices that are off until staff let them on."""
        return frozenset(n for n, stand in self.stands.items() if stand.until == rewound.OFF)

    def _waiting(self, names: Collection[str], rev: int) -> wire.Deferred:
        total = sum(self.hashes[name] for name in names)
        return wire.Deferred(snapshot_rev=rev, count=len(names), digest=f"{total % _MODULUS:064x}")

    def share(self, name: str) -> int:
        """Return a device's share of the feed's digest: nothing if the feed has it not."""
        return 0 if name in self.deferred else self.hashes.get(name, 0)

    def _defer(self, names: Iterable[str], rev: int) -> None:
        for name in set(names) - self.deferred:
            self.digest -= self.hashes[name]
            self.deferred.add(name)
        self.deferred_rev = rev

    def own_key(self, key: str) -> str:
        """Return a public key as the object that its record holds, so that it is kept once."""
        device = self.devices.get(self._claims.get(key, ""))
        return device.public_key if device is not None and device.public_key == key else key

    def _share_values(self, device: wire.Device) -> None:
        """Let values that most records have alike be one object: of 60,000 they are megabytes."""
        for name in _ALIKE:
            value = getattr(device, name)
            force_setattr(device, name, self._values.setdefault(value, value))

    def _join(self, device: wire.Device) -> None:
        self._share_values(device)
        stand = self.stands.get(device.id)
        self.devices[device.id] = rewound.running(device, stand)
        if stand is not None:
            self.said[device.id] = device
        self.hashes[device.id] = wire.record_hash(device)
        self.digest += self.hashes[device.id]
        reason = self._objection(device)
        if reason:
            self.refused[device.id] = reason
        else:
            self._claims.update((value, device.id) for _, value in breaker.claims(device))

    def _leave(self, name: str) -> None:
        device = self.devices.pop(name, None)
        self.digest -= self.share(name)
        self.hashes.pop(name, None)
        self.deferred.discard(name)
        self.refused.pop(name, None)
        self.said.pop(name, None)
        for _, value in breaker.claims(device) if device else ():
            if self._claims.get(value) == name:
                del self._claims[value]

    def _objection(self, device: wire.Device) -> str:
        try:
            wire.check_device(device)
        except wire.WireError as error:
            return str(error)
        fault = self.inner.fault(device)
        if fault:
            return fault
        for what, value in breaker.claims(device):
            holder = self._claims.get(value, device.id)
            if holder != device.id:
                return f"{what} is held by {holder}"
        return ""


def judge(pool: Pool, batch: wire.Batch, *, permit_key: str, now: float) -> Change:
    """Check a verified batch against what the pool holds.

    A permit is passed over whose serial is not above the persisted one's; a permit that the permit
    key did not sign, or of another line, spoils the whole batch.

    Args:
        now: Site time.

    Raises:
        BatchRefused: It does not follow on what we hold, or its digest is not that of its result.
    """
    begin = batch.begin
    snapshot = begin.batch == "snapshot"
    if begin.pool != pool.assignment.pool:
        raise BatchRefused(f"a batch of pool {begin.pool} came for {pool.assignment.pool}")
    if not snapshot and (begin.epoch, begin.after) != (pool.epoch, pool.rev):
        raise BatchRefused("a delta does not follow on the last revision")
    if snapshot and begin.epoch in pool.past:
        raise BatchRefused("a snapshot is of a history that has ended")
    if snapshot and begin.epoch == pool.epoch and begin.rev < pool.rev:
        raise BatchRefused("a snapshot is older than what runs")
    puts, deletes = _fold(batch.items)
    gone, deferred = _leaving(pool, batch, puts, deletes)
    permit = _newest(pool, batch.items, permit_key)
    stands = _stands(pool, batch, puts, deletes | gone, now)
    released = {name: pool.said[name] for name in pool.stands.keys() - stands.keys() - gone}
    puts = {name: pool.said[name] for name in released.keys() - deletes} | puts
    change = Change(begin, puts, deletes | gone, deferred, permit, deletes, stands)
    if _digest_after(pool, change) != begin.digest:
        raise BatchRefused("a batch does not lead to the digest it announces")
    return change


def _fold(items: Iterable[wire.Item]) -> tuple[dict[str, wire.Device], frozenset[str]]:
    puts: dict[str, wire.Device] = {}
    deletes: set[str] = set()
    for item in items:
        if isinstance(item, wire.Put):
            puts[item.device.id] = item.device
            deletes.discard(item.device.id)
        elif isinstance(item, wire.Del):
            deletes.add(item.device)
            puts.pop(item.device, None)
    return puts, frozenset(deletes)


def _leaving(
    pool: Pool, batch: wire.Batch, puts: dict[str, wire.Device], deletes: frozenset[str]
) -> breaker.Missing:
    """Return who goes without a delete of its own, and who only would."""
    if batch.begin.batch == "snapshot":
        missing = frozenset(pool.devices.keys() - puts.keys() - deletes)
        if _restored(pool, batch):
            gone = breaker.in_the_way({n: pool.devices[n] for n in missing}, puts.values())
            return breaker.Missing(gone, missing - gone)
        return breaker.split(pool.devices, missing, puts.values())
    kept = {name: pool.devices[name] for name in pool.deferred - puts.keys() - deletes}
    if _allowed(pool, batch, pool.kept_back()):
        return breaker.Missing(frozenset(kept), frozenset())
    gone = breaker.in_the_way(kept, puts.values())
    return breaker.Missing(gone, frozenset(kept) - gone)


def _restored(pool: Pool, batch: wire.Batch) -> bool:
    """Tell whether a snapshot is of another history than what runs."""
    return batch.begin.batch == "snapshot" and pool.epoch not in {"", batch.begin.epoch}


def _stands(
    pool: Pool,
    batch: wire.Batch,
    puts: dict[str, wire.Device],
    gone: frozenset[str],
    now: float,
) -> dict[str, rewound.Stand]:
    """Return what stands against records once the batch is applied."""
    if _restored(pool, batch):
        return rewound.stands(pool.devices, pool.stands, pool.buried, puts, now)
    let_on = pool.off() if _allowed(pool, batch, pool.kept_off()) else frozenset()
    return {
        name: stand
        for name, stand in pool.stands.items()
        if name not in gone | let_on
        and (stand.until == rewound.OFF or name not in puts or puts[name].hold_at < stand.until)
    }


def _allowed(pool: Pool, batch: wire.Batch, waits: wire.Deferred | None) -> bool:
    """Tell whether staff allow exactly what this gateway said that waits for them."""
    return waits is not None and any(
        isinstance(item, wire.Allow)
        and (item.epoch, item.snapshot_rev, item.digest)
        == (pool.epoch, waits.snapshot_rev, waits.digest)
        for item in batch.items
    )


def _newest(
    pool: Pool, items: Iterable[wire.Item], permit_key: str
) -> tuple[wire.Permit, wire.SignedPermit] | None:
    newest = None
    serial = pool.permit.serial if pool.permit else 0
    for item in items:
        if not isinstance(item, wire.PermitItem):
            continue
        permit = open_permit(item.permit, line=pool.assignment.line, permit_key=permit_key)
        # A restored database writes old serials anew, and may have lost a revocation.
        if permit.serial > serial:
            newest, serial = (permit, item.permit), permit.serial
    return newest


def open_permit(signed: wire.SignedPermit, *, line: str, permit_key: str) -> wire.Permit:
    """Verify a permit of this line.

    Raises:
        BatchRefused: The permit key did not sign it, or it is another line's.
    """
    try:
        permit = wire.open_permit(permit_key, signed)
    except wire.WireError as error:
        raise BatchRefused(f"a permit was refused: {error}") from error
    if permit.line != line:
        raise BatchRefused(f"a permit of line {permit.line} came for {line}")
    return permit


def _digest_after(pool: Pool, change: Change) -> str:
    total = 0
    if change.begin.batch == "delta":
        replaced = change.gone | change.puts.keys()
        total = pool.digest - sum(pool.share(name) for name in replaced)
    total += sum(wire.record_hash(device) for device in change.puts.values())
    return f"{total % _MODULUS:064x}"
