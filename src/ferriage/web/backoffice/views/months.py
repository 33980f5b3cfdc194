"""Months of the books: which are closed, and closing the next one."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import Http404
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from ferriage.ledger.models import Closing
from ferriage.ledger.queries import month_to_close
from ferriage.payments.closing import close_month
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


def index(request: StaffRequest) -> HttpResponse:
    """List the closed months, newest first, and the one that waits."""
    due = month_to_close(request.now)
    context = {
        "due": due,
        "month": f"{due:%Y-%m}" if due else "",
        "closings": Closing.objects.select_related("link").order_by("-month"),
    }
    return render(request, "backoffice/months.html", context)


def close(request: StaffRequest, month: str) -> HttpResponse:
    """Ask, then close the month that waits; the shares of its partners are settled with it."""
    first_day = _month(month)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        closing = close_month(month=first_day, now=request.now, actor=request.staff.actor)
        text = _("%(month)s is closed. Its hash: %(hash)s") % {
            "month": closing,
            "hash": closing.link.hash,
        }
        return said(request, text, "staff-months")

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Close %(month)s?") % {"month": month},
        submit=_("Close the month for good"),
        back=reverse("staff-months"),
        act=act,
        intro=_(
            "Has everything of it been booked? Nothing can be posted in it afterwards, "
            "and it cannot be opened again."
        ),
    )


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise Http404 from error
