"""Batches as gateways get them, made once however many gateways ask.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal

from msgspec.structs import replace

from ferriage import wire
from ferriage.hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.hub.sql import Change, Head, Reader

_DELTAS_KEPT: Final = 64
_SNAPSHOTS_KEPT: Final = 16


class Cache:
    """The batches asked for last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[str | int, ...], bytes] = OrderedDict()

    def get(self, key: tuple[str | int, ...], make: Callable[[], bytes]) -> bytes:
        """Return what is kept under a key, or make it and keep it."""
        if key not in self._kept:
            self._kept[key] = make()
        self._kept.move_to_end(key)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return self._kept[key]

    def kept(self, key: tuple[str | int, ...]) -> bytes | None:
        """Return what is kept under a key, if anything is."""
        return self._kept.get(key)


class Batches:
    """Reads and signs batches. Belongs to one thread, like its reader."""

    def __init__(self, reader: Reader, feed_key: str) -> None:
        self._reader = reader
        self._feed_key = feed_key
        self._deltas = Cache(_DELTAS_KEPT)
        self._snapshots = Cache(_SNAPSHOTS_KEPT)

    def delta(
        self, gateway: str, pool: str, *, epoch: str, after: int, spoken: int = wire.FEED_FORMAT
    ) -> bytes | None:
        """Return what follows a revision, at most 1,000 items; None when nothing does yet.

        Args:
            spoken: The format of the gateway's agent, ours or the one before.

        Raises:
            Refusal: 410 when only a snapshot can help, 404 when the pool is not the gateway's, 409
                when the gateway was closed.
        """
        asked = (pool, epoch, after)
        head = self._head(gateway, pool)
        _check_reachable(head, epoch, after)
        if after == head.revision:
            return None
        kept = self._deltas.kept((*asked, head.revision, spoken))
        if kept is not None:
            return kept
        # Nearly all get no further: one look is one moment, so it costs no transaction.
        with self._reader.reading():
            head = self._head(gateway, pool)
            _check_reachable(head, epoch, after)
            if after == head.revision:
                return None
            key = (*asked, head.revision, spoken)
            return self._deltas.get(key, lambda: self._make_delta(pool, head, after, spoken))

    def snapshot(
        self, gateway: str, pool: str, *, spoken: int = wire.FEED_FORMAT
    ) -> tuple[bytes, str]:
        """Return a pool's snapshot and its entity tag.

        Args:
            spoken: As for `delta`.

        Raises:
            Refusal: 404 when the pool is not the gateway's, 409 when the gateway was closed.
        """
        with self._reader.reading():
            head = self._head(gateway, pool)
            key = (pool, head.epoch, head.revision, spoken)
            batch = self._snapshots.get(key, lambda: self._make_snapshot(pool, head, spoken))
        return batch, f'"{head.epoch}-{head.revision}-{spoken}"'

    def _head(self, gateway: str, pool: str) -> Head:
        head = self._reader.head(gateway, pool)
        if head is None and self._reader.closed(gateway):
            raise Refusal(409, wire.GATEWAY_CLOSED, "This gateway is closed for good.")
        if head is None:
            raise Refusal(404, "not-found", "This gateway has no such pool.")
        return head

    def _make_delta(self, pool: str, head: Head, after: int, spoken: int) -> bytes:
        changes = self._reader.changes(head, after, wire.WATCH_LIMIT)
        if not _contiguous(changes, after):
            raise _gone("compacted", "The changes after this revision are not kept any more.")
        last = changes[-1]
        if spoken != wire.FEED_FORMAT and last.rev < head.revision:
            # What was withheld at a revision is known of the newest one only.
            raise _gone("compacted", "An older agent is told many changes by a snapshot.")
        digest = self._digest(head, last.digest, spoken)
        begin = _begin("delta", pool, head.epoch, after=after, rev=last.rev, digest=digest)
        lines = _said([change.payload.encode() for change in changes], spoken)
        return wire.frame_batch(self._feed_key, replace(begin, format=spoken), lines)

    def _make_snapshot(self, pool: str, head: Head, spoken: int) -> bytes:
        lines = _said([payload.encode() for payload in self._reader.current(head)], spoken)
        digest = self._digest(head, head.digest, spoken)
        begin = _begin("snapshot", pool, head.epoch, after=0, rev=head.revision, digest=digest)
        return wire.frame_batch(self._feed_key, replace(begin, format=spoken), lines)

    def _digest(self, head: Head, digest: str, spoken: int) -> str:
        """Return the digest of what a gateway of a format holds: without what is withheld."""
        if spoken == wire.FEED_FORMAT:
            return digest
        for payload in self._reader.newer(head, spoken):
            digest = wire.digest_remove(digest, wire.decode(payload, wire.Put).device)
        return digest


def _said(lines: list[bytes], spoken: int) -> list[bytes]:
    """Put a delete in place of each record that cannot be said in the format.

    Half a record would be worse than none; so the device is not served there, which the site shows.
    """
    if spoken == wire.FEED_FORMAT:
        return lines
    return [_said_item(line, spoken) for line in lines]


def _said_item(line: bytes, spoken: int) -> bytes:
    item = wire.decode_item(line)
    if isinstance(item, wire.Put) and wire.needs(item.device) > spoken:
        return wire.encode(wire.Del(rev=item.rev, device=item.device.id))
    return line


def _check_reachable(head: Head, epoch: str, after: int) -> None:
    if epoch != head.epoch:
        raise _gone("epoch", "The database has another history than this gateway saw last.")
    if after > head.revision:
        raise _gone("ahead", "This gateway has seen more than the database holds.")


def _contiguous(changes: list[Change], after: int) -> bool:
    revisions = [change.rev for change in changes]
    return bool(revisions) and revisions == list(range(after + 1, after + 1 + len(revisions)))


def _gone(slug: str, message: str) -> Refusal:
    return Refusal(410, slug, f"{message} Ask for a snapshot.")


def _begin(
    kind: Literal["snapshot", "delta"], pool: str, epoch: str, *, after: int, rev: int, digest: str
) -> wire.Begin:
    return wire.Begin(
        format=wire.FEED_FORMAT,
        batch=kind,
        pool=pool,
        epoch=epoch,
        after=after,
        rev=rev,
        count=0,
        digest=digest,
        items_sha256="",
    )
