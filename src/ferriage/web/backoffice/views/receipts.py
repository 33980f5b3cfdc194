"""What waits for a second person: receipts that somebody typed, and what somebody proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404
from django.utils.translation import gettext as _

from ferriage.payments import seconds
from ferriage.payments.models import HandReceipt, Proposal
from ferriage.payments.providers.bank import receipts
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.files import evidence_file
from ferriage.web.backoffice.pages import said
from ferriage.web.backoffice.views.bank import told

if TYPE_CHECKING:
    from django.http import FileResponse, HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


def confirm(request: StaffRequest, code: str) -> HttpResponse:
    """Confirm a receipt as another person than the one who entered it."""
    captured = receipts.confirm(
        receipt=row(HandReceipt, code), now=request.now, actor=request.staff.actor
    )
    return said(request, told(captured), "staff-statements")


def drop(request: StaffRequest, code: str) -> HttpResponse:
    """Drop a receipt that waits."""
    receipts.drop(receipt=row(HandReceipt, code), now=request.now, actor=request.staff.actor)
    return said(request, _("The receipt is dropped; nothing was booked."), "staff-statements")


def confirm_proposal(request: StaffRequest, code: str) -> HttpResponse:
    """Do what another member of staff proposed."""
    seconds.confirm(proposal=row(Proposal, code), now=request.now, actor=request.staff.actor)
    return said(request, _("It is done."), "staff-payments")


def drop_proposal(request: StaffRequest, code: str) -> HttpResponse:
    """Drop what waits for a second person."""
    seconds.drop(proposal=row(Proposal, code), now=request.now, actor=request.staff.actor)
    return said(request, _("It is dropped; nothing was booked."), "staff-payments")


def evidence(request: StaffRequest, code: str) -> FileResponse:
    """Hand out the file that proves a receipt."""
    del request
    found = row(HandReceipt, code)
    if found.evidence is None:
        raise Http404
    return evidence_file(found.evidence)
