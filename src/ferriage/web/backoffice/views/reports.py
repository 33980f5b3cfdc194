"""Reports: what is handed to people outside. None of them names a customer."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Final

from django.http import FileResponse, Http404, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from ferriage.approvals.site import packs_in_force
from ferriage.reports import auditpack, lines, tables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

COUNTED: Final = {
    "lines": gettext_lazy("Lines"),
    "approvals": gettext_lazy("Approvals"),
    "subscriptions": gettext_lazy("Subscriptions in force"),
    "decisions": gettext_lazy("Decisions"),
}
"""What an authority's ledger counts, in words."""


def index(request: StaffRequest) -> HttpResponse:
    """List the reports."""
    context = {"places": tables.places(packs=packs_in_force())}
    return render(request, "backoffice/register/reports.html", context)


def register(request: StaffRequest) -> HttpResponse:
    """Show the register of lines and the calendar of their ends, to be printed."""
    found = tables.registered(now=request.now)
    context = {
        "registered": found,
        "ends": lines.ends((item.standing for item in found), now=request.now),
        "at": request.now,
    }
    return render(request, "backoffice/register/register.html", context)


def authority(request: StaffRequest) -> HttpResponse:
    """Show an authority's ledger: counts alone, none below ten."""
    place = _place(request)
    rows = [(COUNTED[row.what], row) for row in tables.ledger(place, now=request.now)]
    context = {"place": place, "rows": rows, "at": request.now}
    return render(request, "backoffice/register/authority.html", context)


def as_csv(request: StaffRequest, name: str) -> StreamingHttpResponse:
    """Hand out a report as CSV."""
    heading, rows = _table(request, name, request.now)
    response = StreamingHttpResponse(
        tables.as_csv(heading, rows), content_type="text/csv; charset=utf-8"
    )
    day = f"{request.now:%Y-%m-%d}"
    response["Content-Disposition"] = f'attachment; filename="{name}-{day}.csv"'
    return response


def auditor_pack(request: StaffRequest) -> FileResponse:
    """Make the auditor's pack and hand it out; its seal stands in a header and in the pack."""
    # On disk, not in memory: evidence may be large. The response closes it, which removes it.
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the response closes it
    made = auditpack.write(file, now=request.now)
    file.seek(0)
    name = f"auditor-pack-{request.now:%Y-%m-%d}.zip"
    response = FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
    response["X-Seal"] = made.seal
    return response


def _table(
    request: StaffRequest, name: str, now: datetime
) -> tuple[tuple[str, ...], Iterable[tuple[str, ...]]]:
    if name == "authority":
        place = _place(request)
        return tables.LEDGER_HEADING, tables.ledger_rows(place, tables.ledger(place, now=now))
    found = tables.registered(now=now)
    if name == "lines":
        return tables.LINES_HEADING, tables.lines_rows(found)
    if name == "ends":
        ends = lines.ends((item.standing for item in found), now=now)
        return tables.ENDS_HEADING, tables.ends_rows(ends)
    raise Http404


def _place(request: StaffRequest) -> str:
    place = request.GET.get("place", "")
    if place not in tables.places(packs=packs_in_force()):
        raise Http404
    return place
