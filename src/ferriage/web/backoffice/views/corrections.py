"""Correcting the books: the mirror image of a posting, with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.ledger import reversing
from ferriage.ledger.models import LedgerTransaction
from ferriage.payments import seconds
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import WAITS

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


class ReverseForm(forms.Form):
    """Why a posting is undone."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=reversing.LONGEST_REASON)


def reverse_posting(request: StaffRequest, code: str) -> HttpResponse:
    """Undo a posting by its mirror image, after asking once more."""
    found = row(LedgerTransaction, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        waits = seconds.correct(
            transaction=found,
            reason=typed["reason"],
            limit=settings.FERRIAGE.shop.receipt_limit,
            now=request.now,
            actor=request.staff.actor,
        )
        if waits:
            return said(request, str(WAITS), "staff-payments")
        return said(request, _("The posting is undone."), "staff-ledger-source", found.code)

    rows = found.transfers.select_related("debit", "credit").order_by("pk")
    return form_page(
        request,
        ReverseForm(request.POST or None),
        title=_("Undo a posting"),
        submit=_("Post the mirror image"),
        back=reverse("staff-ledger-source", args=[found.source_code]),
        act=act,
        intro=_("Nothing is edited or deleted: both stay in the books and cancel each other out."),
        template="backoffice/reverse.html",
        rows=rows,
    )
