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


def newer(place: str, *changes: tuple[str, str]) -> packs.Pack:
    """Return the next version of a pack that ships, with texts of it replaced."""
    path = packs.demo_path() if place == "XD" else packs.demo_path().parents[1] / f"{place}.toml"
    text = path.read_text(encoding="utf-8")
    for before, after in (("2026-11-25.1", "2027-01-01.1"), *changes):
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
