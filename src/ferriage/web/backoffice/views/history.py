"""The history of one line, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404
from django.shortcuts import render

from ferriage.fleet.models import Line
from ferriage.web.backoffice import history

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


def show(request: StaffRequest, code: str) -> HttpResponse:
    """Show what happened to a line, newest first."""
    line = Line.objects.select_related("party").filter(code=code).first()
    if line is None:
        raise Http404
    page, events = history.page(line, request.GET.get("page"))
    context = {"line": line, "page": page, "events": events}
    return render(request, "backoffice/register/history.html", context)
