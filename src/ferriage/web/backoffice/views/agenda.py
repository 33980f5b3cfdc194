"""The calendar: what is due, who saw to it, and the feed for calendar programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from ferriage.accounts import actions as accounts
from ferriage.accounts import queries as people
from ferriage.approvals import actions, site
from ferriage.approvals.models import Fulfilment, Incident, TaskTick
from ferriage.core import clock
from ferriage.fleet.models import Line
from ferriage.web.backoffice import agenda
from ferriage.web.backoffice.access import ACCESS
from ferriage.web.backoffice.fields import EvidenceForm, InstantField
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from ferriage.web.backoffice.access import StaffRequest
    from ferriage.web.backoffice.agenda import Row

_HISTORY = 20


class DoneForm(EvidenceForm):
    """How a duty was fulfilled: in words, with a file, or both."""

    note = forms.CharField(
        label=gettext_lazy("What was done"),
        max_length=actions.LONGEST_NOTE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    field_order = ["note", "file", "original_at"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["file"].required = False


class ReasonForm(forms.Form):
    """Why a note is taken back."""

    reason = forms.CharField(label=gettext_lazy("Why"), max_length=actions.LONGEST_NOTE)


class IncidentForm(forms.Form):
    """Something that happened on a line."""

    line = forms.ModelChoiceField(
        Line.objects.exclude(state=Line.State.CLOSED).order_by("name"), label=gettext_lazy("Line")
    )
    noticed_at = InstantField(label=gettext_lazy("Noticed at (UTC)"))
    words = forms.CharField(
        label=gettext_lazy("What happened, without the name of a customer"),
        max_length=actions.LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


def index(request: StaffRequest) -> HttpResponse:
    """Show what is due, what comes next, and who saw to what."""
    rows = agenda.rows(now=request.now)
    open_rows = [row for row in rows if not row.entry.is_done]
    context = {
        "due": [row for row in open_rows if row.entry.is_due],
        "coming": [row for row in open_rows if not row.entry.is_due and row.deadline.at],
        "standing": [row for row in open_rows if row.deadline.at is None],  # kept ones too
        "done": [row for row in reversed(rows) if row.entry.is_done],
        "ticks": TaskTick.objects.order_by("-pk")[:_HISTORY],
        "notes": Fulfilment.objects.order_by("-pk")[:_HISTORY],
        "incidents": Incident.objects.order_by("-pk")[:_HISTORY],
        "feed": people.calendar_feed_of(request.staff.user),
    }
    return render(request, "backoffice/calendar.html", context)


def tick(request: StaffRequest, code: str, lead: int) -> HttpResponse:
    """Note that somebody saw to a task."""
    row = _row(code, request.now)
    actions.tick(
        deadline=row.deadline, days_before=lead, now=request.now, actor=request.staff.actor
    )
    return said(request, _("Ticked off, with your name."), "staff-calendar")


def done(request: StaffRequest, code: str) -> HttpResponse:
    """Note that a duty was fulfilled."""
    row = _duty(code, request.now)
    form = DoneForm(request.POST or None, request.FILES or None)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.fulfil(
            deadline=row.deadline,
            note=typed["note"],
            file=form.evidence() if typed["file"] else None,
            store_dir=site.evidence_dir(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("Noted as done."), "staff-calendar")

    return form_page(
        request,
        form,
        title=row.title,
        submit=_("Note as done"),
        back=reverse("staff-calendar"),
        act=act,
        intro=_duty_text(row),
    )


def undone(request: StaffRequest, code: str) -> HttpResponse:
    """Take back that a duty was fulfilled."""
    row = _duty(code, request.now)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.take_back(
            deadline=row.deadline,
            reason=typed["reason"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("Taken back; the note before stays on record."), "staff-calendar")

    return form_page(
        request,
        ReasonForm(request.POST or None),
        title=row.title,
        submit=_("Take back"),
        back=reverse("staff-calendar"),
        act=act,
        intro=_duty_text(row),
    )


def new_incident(request: StaffRequest) -> HttpResponse:
    """Record that something happened on a line."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.note_incident(
            line_code=typed["line"].code,
            noticed_at=typed["noticed_at"],
            words=typed["words"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The incident is noted."), "staff-calendar")

    return form_page(
        request,
        IncidentForm(request.POST or None),
        title=_("New incident"),
        submit=_("Note it"),
        back=reverse("staff-calendar"),
        act=act,
        intro=_("Duties that follow an incident by so many hours stand on the calendar at once."),
    )


def make_feed(request: StaffRequest) -> HttpResponse:
    """Make one's own address for a calendar program, and show it once."""
    token = accounts.make_calendar_feed(
        user=request.staff.user, now=request.now, actor=request.staff.actor
    )
    site_url: str = settings.FERRIAGE.site.url
    link = site_url.rstrip("/") + reverse("staff-feed", args=[token])
    return render(request, "backoffice/feed_made.html", {"link": link})


def end_feed(request: StaffRequest) -> HttpResponse:
    """End one's own address for a calendar program."""
    accounts.end_calendar_feed(user=request.staff.user, now=request.now, actor=request.staff.actor)
    return said(request, _("The address shows nothing any more."), "staff-calendar")


@require_safe
def feed(_request: HttpRequest, token: str) -> HttpResponse:
    """Answer a calendar program with what is due; the token is all that it has.

    The role is read now: whoever may not look at the calendar any more gets nothing.
    """
    now = clock.now()
    reader = people.calendar_reader(token)
    if reader is None or not ACCESS["staff-calendar"].allows(people.role_of(reader), "GET"):
        raise Http404
    file = agenda.ical(agenda.rows(now=now), now=now)
    return HttpResponse(file, content_type="text/calendar; charset=utf-8")


def _row(code: str, now: datetime) -> Row:
    """Return a deadline by its key; one that is not on the calendar any more answers 404."""
    for row in agenda.rows(now=now):
        if row.key == code:
            return row
    raise Http404


def _duty(code: str, now: datetime) -> Row:
    row = _row(code, now)
    if row.deadline.about != "duty":
        raise Http404
    return row


def _duty_text(row: Row) -> str:
    """Return the clause of a duty, where it is written, and what the pack adds."""
    packs = site.packs_in_force()
    duty = packs.obligations[row.deadline.duty]
    source = packs.by_place[packs.obligation_places[duty.code]].sources[duty.source]
    last = row.deadline.last_day
    when = _("Last day %(day)s.") % {"day": last} if last else _("It has no day.")
    return f"{row.about}: {duty.clause}, {source.title}. {when} {duty.note}".strip()
