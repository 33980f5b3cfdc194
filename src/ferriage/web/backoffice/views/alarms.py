"""Alarms: what is open, what ended, and who has seen to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from ferriage.fleet import actions
from ferriage.fleet.alarming import open_alarms
from ferriage.fleet.models import Alarm
from ferriage.web.backoffice.pages import said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50


def index(request: StaffRequest) -> HttpResponse:
    """Show every open alarm with what to do about it, and page by page those that ended."""
    ended = Alarm.objects.filter(ended_at__isnull=False).order_by("-ended_at", "-pk")
    page = Paginator(ended, PER_PAGE).get_page(request.GET.get("page"))
    context = {"alarms": open_alarms(), "page": page}
    return render(request, "backoffice/alarms.html", context)


def acknowledge(request: StaffRequest, pk: int) -> HttpResponse:
    """Note who sees to an alarm."""
    found = get_object_or_404(Alarm, pk=pk)
    actions.acknowledge_alarm(alarm=found, now=request.now, actor=request.staff.actor)
    return said(request, _("Noted that you see to it."), "staff-alarms")
