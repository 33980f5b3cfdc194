"""All lines in one picture, and the same in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.shortcuts import render

from ferriage.fleet.models import Line
from ferriage.reports import lines
from ferriage.web.backoffice import diagram

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

ORDER: Final = ("open", "held", "planned", "closed")


def show(request: StaffRequest) -> HttpResponse:
    """Draw every line, those that carry traffic first."""
    rows = Line.objects.select_related("party").order_by("name", "pk")
    found = lines.standings(rows, now=request.now)
    found.sort(key=lambda standing: ORDER.index(standing.state))
    coming = [end for end in lines.ends(found, now=request.now) if end.at > request.now]
    context = {"diagram": diagram.draw(found, coming), "at": request.now}
    return render(request, "backoffice/register/diagram.html", context)
