"""What the feed says a pool must run, and whether a batch may be taken over. Pure.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ferriage import wire
from ferriage.agent import breaker
from ferriage.agent.backend import Link
from ferriage.agent.errors import BatchRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULUS = 1 << 256


@dataclass(frozen=True)
class Change:
    """A batch that was judged good, in the order in which it is applied.

    `gone` names devices that go for good; `puts` are added or replaced; `deferred` are those that
    a snapshot did not name and that stay all the same.
    """

    begin: wire.Begin
    puts: dict[str, wire.Device]
    gone: frozenset[str]
    deferred: frozenset[str]
    permit: tuple[wire.Permit, wire.SignedPermit] | None


@dataclass
class Pool:
    """One pool: its assignment, the records of the feed, and which of them cannot be applied.

    `deferred` are devices that the feed has not any more; `digest` is of all others. `past` are
    the epochs that were left for a later one.
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
    _claims: dict[tuple[str, object], str] = field(default_factory=dict)

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
        for device in change.puts.values():
            self._join(device)
        if change.begin.batch == "snapshot":
            self._defer(change.deferred, change.begin.rev)
            if self.epoch not in {"", change.begin.epoch}:
                self.past.add(self.epoch)
        if change.permit is not None:
            self.permit, self.signed = change.permit
        self.epoch, self.rev = change.begin.epoch, change.begin.rev

    def hear(self, sibling: Pool) -> None:
        """Take over a newer permit that another pool of the line was told first."""
        told, known = sibling.permit, self.permit
        if told is not None and (known is None or told.serial > known.serial):
            self.permit, self.signed = told, sibling.signed

    def load(
        self, devices: Iterable[wire.Device], deferred: Iterable[str] = (), rev: int = 0
    ) -> None:
        """Take over persisted records, and which of them a snapshot of `rev` did not name."""
        for device in devices:
            self._join(device)
        self._defer(deferred, rev)

    def kept_back(self) -> wire.Deferred | None:
        """Return what waits for staff, as it is reported; None when nothing does."""
        if not self.deferred:
            return None
        total = sum(self.hashes[name] for name in self.deferred)
        return wire.Deferred(
            snapshot_rev=self.deferred_rev,
            count=len(self.deferred),
            digest=f"{total % _MODULUS:064x}",
        )

    def share(self, name: str) -> int:
        """Return a device's share of the feed's digest: nothing if the feed has it not."""
        return 0 if name in self.deferred else self.hashes.get(name, 0)

    def _defer(self, names: Iterable[str], rev: int) -> None:
        for name in set(names) - self.deferred:
            self.digest -= self.hashes[name]
            self.deferred.add(name)
        self.deferred_rev = rev

    def _join(self, device: wire.Device) -> None:
        self.devices[device.id] = device
        self.hashes[device.id] = wire.record_hash(device)
        self.digest += self.hashes[device.id]
        reason = self._objection(device)
        if reason:
            self.refused[device.id] = reason
        else:
            self._claims.update(dict.fromkeys(breaker.claims(device), device.id))

    def _leave(self, name: str) -> None:
        device = self.devices.pop(name, None)
        self.digest -= self.share(name)
        self.hashes.pop(name, None)
        self.deferred.discard(name)
        self.refused.pop(name, None)
        for claim in breaker.claims(device) if device else ():
            if self._claims.get(claim) == name:
                del self._claims[claim]

    def _objection(self, device: wire.Device) -> str:
        try:
            wire.check_device(device)
        except wire.WireError as error:
            return str(error)
        for claim in breaker.claims(device):
            holder = self._claims.get(claim, device.id)
            if holder != device.id:
                return f"{claim[0]} is held by {holder}"
        return ""


def judge(pool: Pool, batch: wire.Batch, *, permit_key: str) -> Change:
    """Check a verified batch against what the pool holds.

    A permit is passed over whose serial is not above the persisted one's; a permit that the permit
    key did not sign, or of another line, spoils the whole batch.

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
    change = Change(begin, puts, deletes | gone, deferred, permit)
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
        return breaker.split(pool.devices, missing, puts.values())
    kept = {name: pool.devices[name] for name in pool.deferred - puts.keys() - deletes}
    if any(_allows(pool, item) for item in batch.items):
        return breaker.Missing(frozenset(kept), frozenset())
    gone = breaker.in_the_way(kept, puts.values())
    return breaker.Missing(gone, frozenset(kept) - gone)


def _allows(pool: Pool, item: wire.Item) -> bool:
    """Tell whether staff allow exactly the removals that this gateway holds back."""
    kept = pool.kept_back()
    return (
        isinstance(item, wire.Allow)
        and kept is not None
        and (item.epoch, item.snapshot_rev, item.digest)
        == (pool.epoch, kept.snapshot_rev, kept.digest)
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
