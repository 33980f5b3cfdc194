"""The rule packs that every test's shop has accepted: the built-in ones and the demo's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ferriage.approvals import packs
from ferriage.approvals.models import PackAcceptance, PackVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def accept(*found: packs.Pack, at: datetime = SINCE) -> None:
    """Write packs as accepted, without the audit entries that actions would add."""
    for row in receive(*found, at=at):
        PackAcceptance.objects.create(pack=row, accepted_at=at, accepted_by="staff:olga")


def receive(*found: packs.Pack, at: datetime) -> list[PackVersion]:
    """Write packs as having come to the shop; they wait."""
    return [
        PackVersion.objects.create(
            place=pack.place, version=pack.version, digest=pack.digest, text=pack.text, came_at=at
        )
        for pack in found
    ]


def everyday() -> Iterable[packs.Pack]:
    """Return the built-in packs and the demo's."""
    return packs.load([packs.demo_path()], allow_user_assigned=True).by_place.values()
