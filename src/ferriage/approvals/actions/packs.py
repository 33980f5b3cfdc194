"""Rule packs as they come with a release or a file, and the word that puts one in force.

Source: docs/decisions/0010-packs-take-effect.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.models import Decision, PackAcceptance, PackVersion
from ferriage.approvals.packs import version_key
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.packs import Pack, Packs
    from ferriage.core.actors import Actor


class NothingWaits(FerriageError):
    """No version of the place's rule pack waits to take effect."""

    slug = "no-pack-waits"


def receive_packs(*, packs: Packs, now: datetime, actor: Actor) -> list[PackVersion]:
    """Keep each pack that is newer than what came before; it waits until somebody accepts it.

    An older version than the newest that came is left aside, so that going back to an older
    release does not go back to an older law.

    Returns:
        What came now, in order of places.
    """
    if not _newer(packs):
        return []
    with writing():
        return [_receive(pack, now, actor) for pack in _newer(packs)]


def begin_with_packs(*, packs: Packs, now: datetime, actor: Actor) -> list[PackVersion]:
    """Receive packs, and accept them all where nothing was judged by any yet.

    Returns:
        What was put in force.
    """
    with writing():
        receive_packs(packs=packs, now=now, actor=actor)
        if Decision.objects.exists() and PackAcceptance.objects.exists():
            return []
        waits = _waiting()
        for version in waits:
            _accept(version, now, actor)
    return waits


def accept_pack(*, place: str, digest: str, now: datetime, actor: Actor) -> PackAcceptance:
    """Put the newest version of a place's pack in force.

    Args:
        digest: Of the version whose difference was shown.

    Raises:
        NothingWaits: The newest version is in force already.
        StaleState: A newer one came since the difference was shown.
    """
    with writing():
        newest = PackVersion.objects.filter(place=place).order_by("-pk").first()
        if newest is None or PackAcceptance.objects.filter(pack=newest).exists():
            raise NothingWaits(_("No newer rule pack for %s waits.") % place)
        if newest.digest != digest:
            raise StaleState(
                _("A newer rule pack for %s came meanwhile; nothing was changed.") % place,
                _("Look at what it would change, then decide."),
            )
        return _accept(newest, now, actor)


def _newer(packs: Packs) -> list[Pack]:
    """Return the packs that are newer than what came, by place; one query."""
    came = dict(PackVersion.objects.order_by("pk").values_list("place", "version"))
    return [
        pack
        for place, pack in sorted(packs.by_place.items())
        if place not in came or version_key(pack.version) > version_key(came[place])
    ]


def _waiting() -> list[PackVersion]:
    newest = {row.place: row for row in PackVersion.objects.order_by("pk")}
    accepted = set(PackAcceptance.objects.values_list("pack", flat=True))
    return [row for _place, row in sorted(newest.items()) if row.pk not in accepted]


def _receive(pack: Pack, now: datetime, actor: Actor) -> PackVersion:
    version = PackVersion.objects.create(
        place=pack.place, version=pack.version, digest=pack.digest, text=pack.text, came_at=now
    )
    _record("received", version, now, actor)
    return version


def _accept(version: PackVersion, now: datetime, actor: Actor) -> PackAcceptance:
    accepted = PackAcceptance.objects.create(pack=version, accepted_at=now, accepted_by=str(actor))
    _record("accepted", version, now, actor)
    return accepted


def _record(verb: str, pack: PackVersion, now: datetime, actor: Actor) -> None:
    audit.record(
        now=now,
        actor=actor,
        action=f"pack.{verb}",
        subject=pack.place,
        version=pack.version,
        sha256=pack.digest,
    )
