"""The verdict on a line as a tree, for its permit or for a customer, now or at another instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django import forms
from django.http import Http404
from django.shortcuts import render
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import reasons, site
from ferriage.approvals.needs import needs
from ferriage.fleet.models import Line
from ferriage.fleet.queries import judge_line, line_facts
from ferriage.web.backoffice.fields import InstantField, PlaceField

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.needs import Need
    from ferriage.web.backoffice.access import StaffRequest

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2199


class VerdictForm(forms.Form):
    """Whom and when the line is judged for; nothing typed asks for its permit now."""

    customer = PlaceField(
        label=gettext_lazy("A customer in"),
        required=False,
        help_text=gettext_lazy("Empty: the line's permit."),
    )
    at = InstantField(
        label=gettext_lazy("At (UTC)"), required=False, help_text=gettext_lazy("Empty: now.")
    )

    def clean_at(self) -> datetime | None:
        """Refuse an instant that no calendar of a law reaches."""
        at: datetime | None = self.cleaned_data["at"]
        if at is not None and not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise forms.ValidationError(_("This is not an instant that laws were read for."))
        return at


def tree(request: StaffRequest, code: str) -> HttpResponse:
    """Judge what is recorded now, and show each question: asked, found, clause."""
    line = Line.objects.select_related("party").filter(code=code).first()
    if line is None:
        raise Http404
    form = VerdictForm(request.GET)
    context: dict[str, object] = {"line": line, "form": form}
    if form.is_valid():
        place, at = form.cleaned_data["customer"] or None, form.cleaned_data["at"] or request.now
        verdict = judge_line(line=line, at=at, customer_place=place)
        asked = needs(line_facts(line), site.packs_in_force(), at)
        context |= {
            "verdict": verdict,
            "branches": _branches(verdict, asked),
            "place": place,
            "at": at,
            "command": _command(line, place, form.cleaned_data["at"]),
        }
    return render(request, "backoffice/register/verdict.html", context)


def _branches(verdict: Verdict, asked: Iterable[Need]) -> list[tuple[bool, str, str]]:
    """Return each question as (passed, what was found with its clause, what is asked)."""
    packs, language = site.packs_in_force(), get_language() or "en"
    by_question = {(need.question.role, need.question.place): need for need in asked}
    found = [(False, reason) for reason in verdict.reasons]
    found += [(True, ground) for ground in verdict.grounds]
    branches = []
    for passed, reason in found:
        need = by_question.get((reason.role, reason.place))
        said = reasons.asked_for(need, language, packs) if need else ""
        branches.append((passed, reasons.sentence(reason, language, packs), said))
    return branches


def _command(line: Line, place: str | None, at: datetime | None) -> str:
    """Return the command that prints the same tree."""
    parts = ["ferriage approvals explain --line", line.code]
    parts += ["--customer", place] if place else []
    parts += ["--at", f"{at:%Y-%m-%dT%H:%M:%SZ}"] if at else []
    return " ".join(parts)
