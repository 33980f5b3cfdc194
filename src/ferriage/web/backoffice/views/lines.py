"""Lines: made, opened if the register allows it, held, released, closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import reasons, site
from ferriage.approvals.facts import CUSTOMER_CLASSES
from ferriage.approvals.models import Approval, Party
from ferriage.approvals.queries import load_register, questions_left
from ferriage.core.errors import FerriageError
from ferriage.fleet import actions
from ferriage.fleet.models import Line, PoolGateway
from ferriage.fleet.queries import line_facts, newest_permits
from ferriage.orders.waiting import lapses_of
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.places import PlaceChoice, PlacesChoice
from ferriage.web.backoffice.views.determinations import question_key, question_text
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.approvals.facts import Verdict
    from ferriage.web.backoffice.access import StaffRequest

CLASS_NAMES = {
    "public": gettext_lazy("the public"),
    "enterprise": gettext_lazy("members of invited organisations"),
    "own_staff": gettext_lazy("own staff"),
}


class LineForm(forms.Form):
    """A route from where tunnels enter to where traffic leaves."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    party = forms.ModelChoiceField(Party.objects.order_by("name"), label=gettext_lazy("Operator"))
    enter_place = PlaceChoice(label=gettext_lazy("Where tunnels enter"))
    exit_place = PlaceChoice(label=gettext_lazy("Where traffic leaves to the internet"))
    sell_places = PlacesChoice(label=gettext_lazy("Where its customers may be"))
    customer_class = forms.ChoiceField(
        label=gettext_lazy("Who its customers are"),
        choices=[(key, CLASS_NAMES[key]) for key in CUSTOMER_CLASSES],
    )
    use = forms.ChoiceField(
        label=gettext_lazy("What it is used for"),
        choices=[
            (Line.Use.RESALE, gettext_lazy("selling")),
            (Line.Use.INTERNAL_OFFICE, gettext_lazy("the operator's own office")),
        ],
    )
    lessor = forms.CharField(
        label=gettext_lazy("Lessor, if the line is leased"), max_length=120, required=False
    )
    lease_contract = forms.CharField(
        label=gettext_lazy("Lease contract"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Its number and date. Only staff see it."),
    )
    capacity = forms.CharField(
        label=gettext_lazy("Capacity, as the contract says it"), max_length=120, required=False
    )


class ReasonForm(forms.Form):
    """Why a line is held, in words that customers read."""

    reason = forms.CharField(label=gettext_lazy("Reason, shown to customers"), max_length=200)


def index(request: StaffRequest) -> HttpResponse:
    """List all lines with what the register says of each now."""
    rows = list(Line.objects.select_related("party").order_by("name"))
    register = load_register()
    permits = newest_permits(rows)
    listed = [
        (row, register.judge(line=line_facts(row), at=request.now), permits.get(row.pk))
        for row in rows
    ]
    return render(request, "backoffice/lines.html", {"lines": listed})


def new(request: StaffRequest) -> HttpResponse:
    """Plan a line."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        line = actions.create_line(**typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The line is planned."), "staff-line", line.code)

    return form_page(
        request,
        LineForm(request.POST or None),
        title=_("New line"),
        submit=_("Plan this line"),
        back=reverse("staff-lines"),
        act=act,
        intro=_("Planning opens nothing: the register judges the line next."),
    )


def line(request: StaffRequest, code: str) -> HttpResponse:
    """Show one line: its verdict as a tree, its permit, what is left to conclude on."""
    return _line_page(request, row(Line, code))


def _line_page(
    request: StaffRequest, found: Line, refusal: FerriageError | None = None
) -> HttpResponse:
    """Render a line, with a refusal on top when something was just refused."""
    facts = line_facts(found)
    verdict = load_register().judge(line=facts, at=request.now)
    context = {
        "line": found,
        "class_name": CLASS_NAMES[found.customer_class],
        "verdict": verdict,
        "tree": _tree(verdict),
        "permit": newest_permits([found]).get(found.pk),
        "questions": [
            (question_key(question), question_text(question))
            for question in questions_left(line=facts, at=request.now)
        ],
        "approvals": Approval.objects.filter(lines__line_code=found.code).order_by("-pk"),
        "lapses": lapses_of(found),
        "pools": found.pools.order_by("pk"),
        "gateways": PoolGateway.objects.filter(pool__line=found)
        .select_related("gateway")
        .order_by("gateway__name", "interface"),
        "refusal": refusal,
    }
    status = status_of(refusal) if refusal else 200
    return render(request, "backoffice/line.html", context, status=status)


def put_in_service(request: StaffRequest, code: str) -> HttpResponse:
    """Open a planned line, if the register allows it; else say on its page what is missing."""
    try:
        actions.put_in_service(line=row(Line, code), now=request.now, actor=request.staff.actor)
    except FerriageError as refusal:
        return _line_page(request, row(Line, code), refusal)
    return said(request, _("The line is in service."), "staff-line", code)


def release(request: StaffRequest, code: str) -> HttpResponse:
    """End a hold by staff; what is refused is said on the line's page."""
    try:
        actions.release_line(line=row(Line, code), now=request.now, actor=request.staff.actor)
    except FerriageError as refusal:
        return _line_page(request, row(Line, code), refusal)
    return said(request, _("The hold is ended."), "staff-line", code)


def hold(request: StaffRequest, code: str) -> HttpResponse:
    """Hold a line at once, with a reason."""
    found = row(Line, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.hold_line(
            line=found, reason=typed["reason"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The line is held."), "staff-line", code)

    return form_page(
        request,
        ReasonForm(request.POST or None),
        title=_("Hold %(line)s") % {"line": found.name},
        submit=_("Hold this line now"),
        back=reverse("staff-line", args=[code]),
        act=act,
        intro=_("Its customers reach only this shop until the hold is ended. Nothing is sold."),
    )


def close(request: StaffRequest, code: str) -> HttpResponse:
    """Close a line for good, after asking once more."""
    found = row(Line, code)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.close_line(line=found, now=request.now, actor=request.staff.actor)
        return said(request, _("The line is closed."), "staff-line", code)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Close %(line)s") % {"line": found.name},
        submit=_("Close this line for good"),
        back=reverse("staff-line", args=[code]),
        act=act,
        intro=_("A closed line cannot be opened again."),
    )


def _tree(verdict: Verdict) -> list[tuple[bool, str]]:
    """Return each question's finding as (passed, sentence with clause and source)."""
    packs, language = site.packs_in_force(), get_language() or "en"
    found = [(False, reason) for reason in verdict.reasons]
    found += [(True, ground) for ground in verdict.grounds]
    return [(passed, reasons.sentence(reason, language, packs)) for passed, reason in found]
