"""The change feed of a pool: the only code that writes its log, its current items, its digest.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

from django.db import connection

from ferriage import wire
from ferriage.core.compiled import Compiled, insert, update
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.fleet.models import Pool, PoolChange, PoolCurrent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

CHANNEL: Final = "ferriage_pool"
"""PostgreSQL's doorbell for hubs; on SQLite they watch `PRAGMA data_version`."""

_CHUNK: Final = 500
_ALLOW: Final = "allow"
_PUT: Final = "put"


@dataclass(frozen=True, slots=True)
class FeedPut:
    """Add the device to the pool, or replace what the pool holds under its id."""

    device: wire.Device


@dataclass(frozen=True, slots=True)
class FeedDel:
    """Take the device out of the pool."""

    device_code: str


@dataclass(frozen=True, slots=True)
class FeedPermit:
    """Hand the line's new permit to the pool's gateways."""

    signed: wire.SignedPermit


@dataclass(frozen=True, slots=True)
class FeedAllow:
    """Let gateways remove what a snapshot of this revision did not name, if it is just that."""

    epoch: str
    snapshot_rev: int
    digest: str


FeedItem = FeedPut | FeedDel | FeedPermit | FeedAllow


_LOCKED: Final = Compiled(
    1, lambda pk: Pool.objects.select_for_update().select_related("line").filter(pk=pk)
)
_HELD: Final = Compiled(
    2,
    lambda pool, subject: PoolCurrent.objects.filter(
        pool=pool, kind=_PUT, subject=subject
    ).values_list("subject", "payload"),
)


def append(*, pool: Pool, items: Sequence[FeedItem], now: datetime) -> int:
    """Append changes to a pool's feed inside the caller's transaction.

    Call it last in the transaction, pools in order of primary key: the pool row stays locked
    until the commit, which is what makes the order of revisions the order of commits.

    Returns:
        The pool's revision afterwards.

    Raises:
        WireError: A device record that no gateway could apply; nothing is written.
    """
    with writing():
        locked = _LOCKED.get(pool.pk)
        if not items:
            return locked.revision
        changes = _changes(locked, items, now)
        insert(*changes)
        _keep_current(changes, _needs(items))
        _raise_revision(locked, changes[-1])
        ring(locked)
    pool.revision, pool.digest = changes[-1].rev, changes[-1].digest
    return pool.revision


def _changes(pool: Pool, items: Sequence[FeedItem], now: datetime) -> list[PoolChange]:
    held = _held(pool, [_subject(pool, item) for item in items])
    digest = pool.digest
    changes = []
    for rev, item in enumerate(items, start=pool.revision + 1):
        subject = _subject(pool, item)
        before = held.pop(subject, None)
        if before is not None:
            digest = wire.digest_remove(digest, before)
        if isinstance(item, FeedPut):
            wire.check_device(item.device)
            digest = wire.digest_add(digest, item.device)
            held[subject] = item.device
        line = _on_wire(item, rev)
        changes.append(
            PoolChange(
                pool=pool,
                rev=rev,
                kind=str(line.__struct_config__.tag),
                subject=subject,
                payload=wire.encode(line).decode(),
                digest=digest,
                at=now,
            )
        )
    return changes


def _needs(items: Sequence[FeedItem]) -> dict[str, int]:
    """Return in which format a device's record can be said, where not in all."""
    needs = {item.device.id: wire.needs(item.device) for item in items if isinstance(item, FeedPut)}
    return {subject: since for subject, since in needs.items() if since}


def _held(pool: Pool, subjects: Sequence[str]) -> dict[str, wire.Device]:
    """Return what the pool holds of these devices now."""
    if len(subjects) == 1:
        return _devices(_HELD(pool, subjects[0]))
    held: dict[str, wire.Device] = {}
    for chunk in batched(set(subjects), _CHUNK):
        rows = PoolCurrent.objects.filter(pool=pool, kind=_PUT, subject__in=chunk)
        held |= _devices(rows.values_list("subject", "payload"))
    return held


def _devices(rows: Iterable[tuple[str, str]]) -> dict[str, wire.Device]:
    return {subject: wire.decode(payload, wire.Put).device for subject, payload in rows}


def _subject(pool: Pool, item: FeedItem) -> str:
    match item:
        case FeedPut(device):
            return device.id
        case FeedDel(code):
            return code
        case FeedPermit():
            return pool.line.code
        case FeedAllow():
            return pool.code


def _on_wire(item: FeedItem, rev: int) -> wire.Item:
    match item:
        case FeedPut(device):
            return wire.Put(rev=rev, device=device)
        case FeedDel(code):
            return wire.Del(rev=rev, device=code)
        case FeedPermit(signed):
            return wire.PermitItem(rev=rev, permit=signed)
        case FeedAllow(epoch, snapshot_rev, digest):
            return wire.Allow(rev=rev, epoch=epoch, snapshot_rev=snapshot_rev, digest=digest)


def _keep_current(changes: Sequence[PoolChange], needs: Mapping[str, int]) -> None:
    # A snapshot asks staff anew, so an old word of theirs has no place in one.
    newest = {change.subject: change for change in changes if change.kind != _ALLOW}
    PoolCurrent.objects.bulk_create(
        [
            PoolCurrent(
                pool=change.pool,
                subject=change.subject,
                rev=change.rev,
                kind=change.kind,
                payload=change.payload,
                at=change.at,
                needs=needs.get(change.subject, 0) if change.kind == _PUT else 0,
            )
            for change in newest.values()
        ],
        batch_size=_CHUNK,
        update_conflicts=True,
        unique_fields=["pool", "subject"],
        update_fields=["rev", "kind", "payload", "at", "needs"],
    )


def _raise_revision(pool: Pool, last: PoolChange) -> None:
    before: dict[str, object] = {"pk": pool.pk, "revision": pool.revision}
    if update(Pool, before, revision=last.rev, digest=last.digest) != 1:
        raise StaleState("Another writer changed this pool first.")


def ring(pool: Pool) -> None:
    """Wake the hubs. PostgreSQL delivers at commit, so nobody is woken for nothing."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, pool.code])
