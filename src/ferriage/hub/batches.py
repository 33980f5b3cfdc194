"""Batches as gateways get them, made once however many gateways ask.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal

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


class Batches:
    """Reads and signs batches. Belongs to one thread, like its reader."""

    def __init__(self, reader: Reader, feed_key: str) -> None:
        self._reader = reader
        self._feed_key = feed_key
        self._deltas = Cache(_DELTAS_KEPT)
        self._snapshots = Cache(_SNAPSHOTS_KEPT)

    def delta(self, gateway: str, pool: str, *, epoch: str, after: int) -> bytes | None:
        """Return what follows a revision, at most 1,000 items; None when nothing does yet.

        Raises:
            Refusal: 410 when only a snapshot can help, 404 when the pool is not the gateway's, 409
                when the gateway was closed.
        """
        with self._reader.reading():
            head = self._head(gateway, pool)
            _check_reachable(head, epoch, after)
            if after == head.revision:
                return None
            key = (pool, epoch, after, head.revision)
            return self._deltas.get(key, lambda: self._make_delta(pool, head, after))

    def snapshot(self, gateway: str, pool: str) -> tuple[bytes, str]:
        """Return a pool's snapshot and its entity tag.

        Raises:
            Refusal: 404 when the pool is not the gateway's, 409 when the gateway was closed.
        """
        with self._reader.reading():
            head = self._head(gateway, pool)
            key = (pool, head.epoch, head.revision)
            batch = self._snapshots.get(key, lambda: self._make_snapshot(pool, head))
        return batch, f'"{head.epoch}-{head.revision}"'

    def _head(self, gateway: str, pool: str) -> Head:
        head = self._reader.head(gateway, pool)
        if head is None and self._reader.closed(gateway):
            raise Refusal(409, wire.GATEWAY_CLOSED, "This gateway is closed for good.")
        if head is None:
            raise Refusal(404, "not-found", "This gateway has no such pool.")
        return head

    def _make_delta(self, pool: str, head: Head, after: int) -> bytes:
        changes = self._reader.changes(head, after, wire.WATCH_LIMIT)
        if not _contiguous(changes, after):
            raise _gone("compacted", "The changes after this revision are not kept any more.")
        begin = _begin(
            "delta", pool, head.epoch, after=after, rev=changes[-1].rev, digest=changes[-1].digest
        )
        lines = [change.payload.encode() for change in changes]
        return wire.frame_batch(self._feed_key, begin, lines)

    def _make_snapshot(self, pool: str, head: Head) -> bytes:
        lines = [payload.encode() for payload in self._reader.current(head)]
        begin = _begin("snapshot", pool, head.epoch, after=0, rev=head.revision, digest=head.digest)
        return wire.frame_batch(self._feed_key, begin, lines)


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
