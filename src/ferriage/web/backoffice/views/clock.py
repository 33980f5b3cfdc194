"""The clock of the site against its own records, and its repair by two people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals import actions
from ferriage.approvals.models import ClockRepair, Decision
from ferriage.approvals.queries import latest_decision
from ferriage.core import timesync
from ferriage.fleet import actions as fleet
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.views.versions import link_page

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


class RepairForm(forms.Form):
    """Which Decisions are wrong, and how that is known."""

    first_sequence = forms.IntegerField(
        label=gettext_lazy("Number of the first wrong decision"),
        min_value=1,
        help_text=gettext_lazy(
            "Filled in: the first that lies in the future. Take an earlier one if the clock ran "
            "ahead before it."
        ),
    )
    reason = forms.CharField(
        label=gettext_lazy("How the clock came to run ahead, and how you know it is right"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 4}),
    )


def index(request: StaffRequest) -> HttpResponse:
    """Show how the clock stands, and every repair that was proposed."""
    context = {
        "now": request.now,
        "newest": latest_decision(),
        "refusal": _refusal(request),
        "synchronised": timesync.state(),
        "wrong": actions.first_wrong(request.now),
        "repairs": ClockRepair.objects.order_by("-pk"),
    }
    return render(request, "backoffice/clock.html", context)


def propose(request: StaffRequest) -> HttpResponse:
    """Name the wrong Decisions; it changes nothing until another person confirms it."""
    wrong = actions.first_wrong(request.now)
    initial = {"first_sequence": wrong.sequence} if wrong else {}

    def act(typed: dict[str, Any]) -> HttpResponse:
        repair = actions.propose_clock_repair(**typed, now=request.now, actor=request.staff.actor)
        text = _("Proposed. Another person confirms it.")
        return said(request, text, "staff-clock-repair", repair.code)

    return form_page(
        request,
        RepairForm(request.POST or None, initial=initial),
        title=_("Propose a clock repair"),
        submit=_("Propose"),
        back=reverse("staff-clock"),
        act=act,
        intro=_(
            "Set the clock right first. Then name the decisions that were written while it ran "
            "ahead: all from one on. They stay in the chain; nothing is opened by this."
        ),
    )


def repair(request: StaffRequest, code: str) -> HttpResponse:
    """Show one repair and what can be done with it."""
    found = row(ClockRepair, code)
    ends = Decision.objects.filter(sequence__in=[found.first_sequence, found.last_sequence])
    context = {
        "repair": found,
        "decisions": ends.order_by("sequence"),
        "now": request.now,
        "open": not found.confirmed_by and found.dropped_at is None,
        "answers": found.outside_answers.order_by("-pk"),
        "same_person": request.staff.actor.is_called(found.proposed_by),
    }
    return render(request, "backoffice/clock_repair.html", context)


def confirm(request: StaffRequest, code: str) -> HttpResponse:
    """Confirm a repair as a second person."""
    fleet.confirm_clock_repair(
        repair=row(ClockRepair, code), now=request.now, actor=request.staff.actor
    )
    text = _("Confirmed. Lines are judged again.")
    return said(request, text, "staff-clock-repair", code)


def drop(request: StaffRequest, code: str) -> HttpResponse:
    """Take a proposal back."""
    actions.drop_clock_repair(
        repair=row(ClockRepair, code), now=request.now, actor=request.staff.actor
    )
    return said(request, _("The proposal is taken back."), "staff-clock")


def invite_outside(request: StaffRequest, code: str) -> HttpResponse:
    """Make a link with which one person from outside confirms this repair."""
    token = actions.create_outside_link(
        subject=row(ClockRepair, code), now=request.now, actor=request.staff.actor
    )
    back = reverse("staff-clock-repair", args=[code])
    return link_page(request, token, _("Link for an outside verifier"), back)


def _refusal(request: StaffRequest) -> actions.ClockBehind | None:
    try:
        actions.check_clock(now=request.now)
    except actions.ClockBehind as refusal:
        return refusal
    return None
