"""What the feed says a pool must run, and whether a batch may be taken over. Pure.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ferriage import wire
from ferriage.agent.backend import Link
from ferriage.agent.errors import BatchRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULUS = 1 << 256


@dataclass(frozen=True)
class Change:
    """A batch that was judged good, in the order in which it is applied.

    `deletes` names devices that go for good; `puts` are added or replaced.
    """

    begin: wire.Begin
    puts: dict[str, wire.Device]
    deletes: frozenset[str]
    permit: tuple[wire.Permit, wire.SignedPermit] | None


@dataclass
class Pool:
    """One pool: its assignment, the records of the feed, and which of them cannot be applied."""

    assignment: wire.PoolAssignment
    epoch: str = ""
    rev: int = 0
    permit: wire.Permit | None = None
    signed: wire.SignedPermit | None = None
    devices: dict[str, wire.Device] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, int] = field(default_factory=dict)
    digest: int = 0
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
        gone = set(change.deletes)
        if change.begin.batch == "snapshot":
            gone |= self.devices.keys() - change.puts.keys()
        for name in gone | (self.devices.keys() & change.puts.keys()):
            self._leave(name)
        for device in change.puts.values():
            self._join(device)
        if change.permit is not None:
            self.permit, self.signed = change.permit
        self.epoch, self.rev = change.begin.epoch, change.begin.rev

    def load(self, devices: Iterable[wire.Device]) -> None:
        """Take over persisted records."""
        for device in devices:
            self._join(device)

    def _join(self, device: wire.Device) -> None:
        self.devices[device.id] = device
        self.hashes[device.id] = wire.record_hash(device)
        self.digest += self.hashes[device.id]
        reason = self._objection(device)
        if reason:
            self.refused[device.id] = reason
        else:
            self._claims.update(dict.fromkeys(_claims(device), device.id))

    def _leave(self, name: str) -> None:
        device = self.devices.pop(name, None)
        self.digest -= self.hashes.pop(name, 0)
        self.refused.pop(name, None)
        for claim in _claims(device) if device else ():
            if self._claims.get(claim) == name:
                del self._claims[claim]

    def _objection(self, device: wire.Device) -> str:
        try:
            wire.check_device(device)
        except wire.WireError as error:
            return str(error)
        for claim in _claims(device):
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
    if snapshot and begin.epoch == pool.epoch and begin.rev < pool.rev:
        raise BatchRefused("a snapshot is older than what runs")
    change = Change(begin, *_fold(batch.items), _newest(pool, batch.items, permit_key))
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
        replaced = change.deletes | change.puts.keys()
        total = pool.digest - sum(pool.hashes.get(name, 0) for name in replaced)
    total += sum(wire.record_hash(device) for device in change.puts.values())
    return f"{total % _MODULUS:064x}"


def _claims(device: wire.Device) -> tuple[tuple[str, object], ...]:
    return (
        ("slot", device.slot),
        ("ip4", device.ip4),
        ("ip6", device.ip6),
        ("public_key", device.public_key),
    )
