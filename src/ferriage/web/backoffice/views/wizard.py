"""The wizard: a page a step, each with a state that is computed, none with an answer in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import actions, reasons, site
from ferriage.approvals.models import Approval, Party
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Line
from ferriage.web.backoffice import wizard
from ferriage.web.backoffice.fields import PlaceField, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.places import OTHER
from ferriage.web.backoffice.views.determinations import question_key, question_text
from ferriage.web.backoffice.views.lines import LineForm

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

THOUGHT: Final = {
    "enter": "enter_place",
    "exit": "exit_place",
    "sell": "sell_places",
    "customer_class": "customer_class",
    "use": "use",
}
"""What the page "What do I need?" was asked, by the field of the line's form."""


class OperatorForm(forms.Form):
    """One of the legal persons on record, or a new one."""

    party = forms.ModelChoiceField(
        Party.objects.order_by("name"), label=gettext_lazy("On record"), required=False
    )
    name = forms.CharField(
        label=gettext_lazy("Or a new one: its legal name"), max_length=120, required=False
    )
    place = PlaceField(label=gettext_lazy("Where it sits"), required=False)
    register_number = forms.CharField(
        label=gettext_lazy("Number in its register"), max_length=60, required=False
    )

    def clean(self) -> dict[str, Any]:
        """Ask for one operator: on record, or new with its place."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("party") and cleaned.get("name"):
            self.add_error("name", _("Choose one on record, or name a new one."))
        if not cleaned.get("party"):
            for name in ("name", "place"):
                if not cleaned.get(name):
                    self.add_error(name, _("Choose one on record, or name a new one."))
        return cleaned


def start(request: StaffRequest) -> HttpResponse:
    """Say who operates the line."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        party = typed.pop("party") or actions.create_party(
            **typed, now=request.now, actor=request.staff.actor
        )
        thought = [(key, _asked(request, key)) for key in THOUGHT]
        query = urlencode([("party", party.code), *thought])
        return HttpResponseRedirect(f"{reverse('staff-wizard-line')}?{query}")

    return form_page(
        request,
        OperatorForm(request.POST or None, initial={"place": _asked(request, "operate")}),
        title=_("Sell on a new line: who operates it"),
        submit=_("Go on"),
        back=reverse("staff-needs"),
        act=act,
        intro=_("Step 1 of 6. The legal person that answers for the line. It may be you."),
    )


def plan(request: StaffRequest) -> HttpResponse:
    """Say where the line runs and for whom."""
    party = Party.objects.filter(code=request.GET.get("party", "")).first()
    thought = {field: _asked(request, key) for key, field in THOUGHT.items()}
    # A class and a use that no form offers would leave the list without a choice.
    initial = {"party": party, **{key: value for key, value in thought.items() if value}}

    def act(typed: dict[str, Any]) -> HttpResponse:
        line = fleet.create_line(**typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The line is planned."), "staff-wizard", line.code)

    return form_page(
        request,
        LineForm(request.POST or None, initial=initial),
        title=_("Sell on a new line: where it runs"),
        submit=_("Go on"),
        back=reverse("staff-wizard-start"),
        act=act,
        intro=_("Step 2 of 6. Planning opens nothing: what the law asks comes next."),
    )


def _asked(request: StaffRequest, key: str) -> str:
    """Return what was thought of; several places are one text, a code goes before a choice."""
    typed = request.GET.get(f"{key}{OTHER}", "")
    if key == "sell":
        return ", ".join(filter(None, [*request.GET.getlist(key), typed]))
    return typed or request.GET.get(key, "")


def here(request: StaffRequest, code: str) -> HttpResponse:
    """Go to the step that can be worked on now."""
    found = wizard.way(row(Line, code), at=request.now)
    return HttpResponseRedirect(reverse("staff-wizard-step", args=[code, found.here.slug]))


def step(request: StaffRequest, code: str, slug: str) -> HttpResponse:
    """Show one step of a line's way: what it needs, what is there, and what to do next."""
    found = wizard.way(row(Line, code), at=request.now)
    current = found.step(slug)
    if current is None:
        raise Http404
    context: dict[str, Any] = {
        "way": found,
        "line": found.line,
        "step": current,
        "number": found.steps.index(current) + 1,
        "next": found.here,
    }
    if slug == "approvals":
        context |= _approvals(found)
    if slug == "conclusions" and current.state == "next":
        context["questions"] = [
            (question_key(question), question_text(question)) for question in found.questions
        ]
    return render(request, "backoffice/register/wizard.html", context)


def draft(request: StaffRequest, code: str) -> HttpResponse:
    """Begin the record of an approval that the line still misses."""
    line = row(Line, code)
    kind = request.POST.get("kind", "")
    if kind not in wizard.way(line, at=request.now).missing:
        raise Http404
    approval = actions.record_approval(
        kind=kind,
        holder=line.party,
        line_codes=[line.code],
        packs=site.packs_in_force(),
        now=request.now,
        actor=request.staff.actor,
    )
    return said(request, _("The draft is recorded."), "staff-approval", approval.code)


def _approvals(found: wizard.Way) -> dict[str, Any]:
    packs, language = site.packs_in_force(), get_language() or "en"
    recorded = Approval.objects.filter(lines__line_code=found.line.code).order_by("-pk")
    return {
        "approvals": recorded,
        "missing": [(kind, reasons.kind_name(kind, language, packs)) for kind in found.missing],
        "asked": [row for row in found.rows if row.kinds],
    }
