"""The start page: a list of what a shop needs, each row computed, none ticked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect, render

from ferriage.fleet.alarming import open_alarms
from ferriage.web.backoffice import checklist
from ferriage.web.backoffice.access import PARTNER

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

MOST_ALARMS = 5
"""On the first page; all are on a page of their own."""


def start(request: StaffRequest) -> HttpResponse:
    """Show how far the shop is, and what waits to be done; to a partner, what is theirs."""
    if request.staff.role == PARTNER:
        return redirect("staff-partners")
    rows = checklist.rows(now=request.now)
    alarms = open_alarms()[:MOST_ALARMS] if request.staff.may("staff-alarms") else ()
    context = {
        "work": checklist.work(now=request.now, may=request.staff.may),
        "rows": rows,
        "done": sum(row.done for row in rows),
        "alarms": alarms,
    }
    return render(request, "backoffice/start.html", context)
