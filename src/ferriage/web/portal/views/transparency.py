"""What anybody may know of the whole shop: its lines, the law on record, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from ferriage.approvals.site import packs_in_force
from ferriage.core.models import AuditEntry
from ferriage.fleet.models import Line
from ferriage.reports import figures
from ferriage.web.portal import register
from ferriage.web.portal.customer import for_everybody

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.reports.figures import Month
    from ferriage.web.portal.customer import VisitorRequest


@require_safe
@for_everybody
def report(request: VisitorRequest) -> HttpResponse:
    """Show every line, closed services and those gone for good included."""
    lines = Line.objects.select_related("party").order_by("pk")
    packs = packs_in_force().by_place
    context = {
        "lines": register.line_pages(lines, now=request.now, language=get_language() or "en"),
        "packs": [pack for _place, pack in sorted(packs.items())],
        "months": _months(request.now),
        "at": request.now,
    }
    return render(request, "portal/transparency.html", context)


def _months(now: datetime) -> list[Month]:
    """Return the months counted, none before the first thing that the shop ever noted."""
    first = AuditEntry.objects.order_by("pk").values_list("at", flat=True).first() or now
    return [row for row in figures.decisions(now=now) if row.month >= f"{first:%Y-%m}"]
