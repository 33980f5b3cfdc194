"""Rule packs: which are in force, what a newer one would change, and letting it take effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.shortcuts import render
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import packdiff, reasons, site
from ferriage.approvals.models import PackVersion
from ferriage.approvals.voiding import voided_by
from ferriage.core.errors import NotFound
from ferriage.fleet import actions
from ferriage.fleet.queries import turns
from ferriage.web.backoffice.pages import said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.approvals.packfile import Row
    from ferriage.approvals.packs import Packs
    from ferriage.fleet.queries import Turn
    from ferriage.web.backoffice.access import StaffRequest

FIELD_NAMES = {
    "answer": gettext_lazy("Answer"),
    "kinds": gettext_lazy("Kinds of approval"),
    "clause": gettext_lazy("Clause"),
    "source": gettext_lazy("Source"),
    "effective_from": gettext_lazy("Holds from"),
    "note": gettext_lazy("Note"),
    "names": gettext_lazy("Names"),
    "time_zone": gettext_lazy("Time zone"),
    "read": gettext_lazy("What was read"),
    "read_on": gettext_lazy("Read on"),
    "url": gettext_lazy("Address"),
}
PART_NAMES = {
    "pack": gettext_lazy("Pack"),
    "kind": gettext_lazy("Kind of approval"),
    "authority": gettext_lazy("Authority"),
    "source": gettext_lazy("Source"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """A row or part that differs, as a page lists it: (name, before, after) for each field."""

    title: str
    state: str
    fields: list[tuple[str, str, str]]
    citation: str = ""


def index(request: StaffRequest) -> HttpResponse:
    """List the packs in force and what waits."""
    waits = {waiting.place: waiting for waiting in site.waiting()}
    accepted: dict[str, PackVersion] = {}
    newest: dict[str, PackVersion] = {}
    for row in PackVersion.objects.select_related("acceptance").defer("text").order_by("pk"):
        newest[row.place] = row
        if hasattr(row, "acceptance"):
            accepted[row.place] = row
    rows = [
        (place, accepted.get(place), newest[place], waits.get(place)) for place in sorted(newest)
    ]
    return render(request, "backoffice/packs.html", {"rows": rows})


def pack(request: StaffRequest, place: str) -> HttpResponse:
    """Show what the waiting version of a place's pack would change."""
    waiting = next((one for one in site.waiting() if one.place == place), None)
    if waiting is None:
        raise NotFound(
            _("No newer rule pack for %s waits.") % place, _("Rule packs lists what is in force.")
        )
    in_force, new = site.packs_in_force(), site.pack_of(waiting.digest)
    law = in_force.with_pack(new)
    old = in_force.by_place.get(place)
    difference = packdiff.compare(old, new)
    context = {
        "place": place,
        "old": old,
        "new": new,
        "waiting": waiting,
        "counts": waiting.counts_at <= request.now,
        "turns": [_turn(turn, law) for turn in turns(new, at=request.now)],
        "voided": voided_by(new, packs=law, at=request.now),
        "rows": [_row(change, difference) for change in difference.rows],
        "parts": [_part(change) for change in difference.parts],
    }
    return render(request, "backoffice/pack.html", context)


def accept(request: StaffRequest, place: str, digest: str) -> HttpResponse:
    """Let the version whose difference was shown take effect."""
    actions.accept_pack(place=place, digest=digest, now=request.now, actor=request.staff.actor)
    return said(request, _("The rule pack is in force."), "staff-packs")


def _turn(turn: Turn, law: Packs) -> tuple[Turn, list[str]]:
    """Return a verdict that changes with the reasons that are new, as sentences."""
    new = [reason for reason in turn.after.reasons if reason not in turn.before.reasons]
    language = get_language() or "en"
    return turn, [reasons.sentence(reason, language, law) for reason in new]


def _row(change: packdiff.RowChange, difference: packdiff.Difference) -> ShownChange:
    row: Row | None = change.after or change.before
    of = difference.new if change.after else difference.old
    cites = (row.clause, of.sources[row.source].title) if row and of else ()
    questions = (change.roles, change.customer_classes, change.uses)
    return ShownChange(
        title=" · ".join(", ".join(part) for part in questions),
        state=_state(came=change.before is None, went=change.after is None),
        fields=_fields(change.fields),
        citation=", ".join(part for part in cites if part),
    )


def _part(change: packdiff.PartChange) -> ShownChange:
    return ShownChange(
        title=f"{PART_NAMES[change.part]} {change.code}",
        state=_state(came=change.is_new, went=change.is_gone),
        fields=_fields(change.fields),
    )


def _state(*, came: bool, went: bool) -> str:
    return _("new") if came else _("taken out") if went else _("changed")


def _fields(fields: tuple[packdiff.Field, ...]) -> list[tuple[str, str, str]]:
    return [
        (str(FIELD_NAMES.get(field.name, field.name)), field.before, field.after)
        for field in fields
    ]
