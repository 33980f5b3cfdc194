"""Reports: what is handed to people outside. None of them names a customer."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from django.http import FileResponse
from django.shortcuts import render

from ferriage.reports import auditpack

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


def index(request: StaffRequest) -> HttpResponse:
    """List the reports."""
    return render(request, "backoffice/register/reports.html")


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
