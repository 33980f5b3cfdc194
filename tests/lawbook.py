"""The rule packs that every test's shop has accepted: the built-in ones and the demo's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ferriage.approvals import packs
from ferriage.approvals.models import PackAcceptance, PackVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NEWER = "2099-01-01.1"
"""The version that `newer` gives, later than any that ships."""


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


def shipped(place: str) -> packs.Pack:
    """Return a pack that ships, or the demo's."""
    return next(pack for pack in everyday() if pack.place == place)


def newer(place: str, *changes: tuple[str, str], version: str = NEWER) -> packs.Pack:
    """Return another version of a pack that ships, with texts of it replaced."""
    old = shipped(place)
    text = old.text
    for before, after in ((f'version = "{old.version}"', f'version = "{version}"'), *changes):
        assert before in text
        text = text.replace(before, after)
    return packs.parse(text, name=place, allow_user_assigned=True)


def stricter() -> packs.Pack:
    """Return a version of the demo's pack by which nobody can be allowed a public VPN."""
    required = 'answer = "required"\nkinds = ["XD-PUBLIC-VPN"]'
    return newer("XD", (required, 'answer = "not_obtainable"'))


def everyday() -> Iterable[packs.Pack]:
    """Return the built-in packs and the demo's."""
    return packs.load([packs.demo_path()], allow_user_assigned=True).by_place.values()
