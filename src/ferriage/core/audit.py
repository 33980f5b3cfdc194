"""Writing and checking the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ferriage.core import chain
from ferriage.core.compiled import Compiled, insert
from ferriage.core.db import joining
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


_HEAD: Final = Compiled(
    0, lambda: AuditEntry.objects.order_by("-sequence").values_list("sequence", "hash")[:1]
)


def record(
    *, now: datetime, actor: Actor, action: str, subject: str = "", **details: Any
) -> AuditEntry:
    """Append one entry inside the caller's transaction.

    Args:
        action: Noun and verb in the past tense, such as `order.settled`.
        subject: Code of what was changed. Of a sale: order or payment, never account or device.
        details: JSON values; no secrets.
    """
    with joining():
        last, previous = _HEAD.first() or (0, chain.GENESIS)
        entry = AuditEntry(
            sequence=last + 1,
            at=now,
            actor_kind=actor.kind,
            actor_code=actor.code,
            action=action,
            subject=subject,
            details=details,
            previous_hash=previous,
        )
        entry.hash = chain.link(previous, content(entry))
        insert(entry)
    return entry


def content(entry: AuditEntry) -> dict[str, Any]:
    """Return what an entry's hash covers."""
    return {
        "sequence": entry.sequence,
        "at": entry.at.isoformat(),
        "actor": [entry.actor_kind, entry.actor_code],
        "action": entry.action,
        "subject": entry.subject,
        "details": entry.details,
    }


def first_broken() -> AuditEntry | None:
    """Walk the whole chain and return the first entry that does not fit, if any."""
    previous = chain.GENESIS
    entries = AuditEntry.objects.order_by("sequence").iterator(chunk_size=2000)
    for sequence, entry in enumerate(entries, start=1):
        fits = entry.sequence == sequence and entry.previous_hash == previous
        if not fits or entry.hash != chain.link(previous, content(entry)):
            return entry
        previous = entry.hash
    return None
