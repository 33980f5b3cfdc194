"""A customer's documents: who an invoice is made out to, and the files to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404
from django.shortcuts import redirect
from django.utils.translation import get_language
from django.views.decorators.http import require_POST, require_safe

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.orders import queries
from ferriage.orders.actions import taxes
from ferriage.orders.models import Withdrawal
from ferriage.web.portal import purse
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.orders import order_page
from ferriage.web.shared import paperfiles, papers

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.portal.customer import CustomerRequest


@require_safe
@for_customers
def document(request: CustomerRequest, code: str, form: str) -> HttpResponse:
    """Return an invoice or credit note of the customer's own."""
    mine = purse.papers_of_account(request.customer).filter(code=code).first()
    if mine is None:
        raise Http404
    usual = mine.content["language"] or get_language() or "en"
    return paperfiles.of_document(request, form, usual, mine)


@require_safe
@for_customers
def acknowledgement(request: CustomerRequest, code: str, form: str) -> HttpResponse:
    """Return the acknowledgement of the customer's own withdrawal."""
    rows = Withdrawal.objects.filter(subscription__account=request.customer, code=code)
    mine = rows.first()
    if mine is None:
        raise Http404
    return paperfiles.answer(
        request,
        form,
        get_language() or "en",
        lambda language: papers.of_withdrawal(mine, language),
    )


@require_POST
@for_customers
def buyer(request: CustomerRequest, code: str) -> HttpResponse:
    """Note who the invoice of an open order is made out to."""
    mine = queries.order_of(account=request.customer, code=code)
    if mine is None:
        raise Http404
    try:
        taxes.name_buyer(
            order=mine,
            name=request.POST.get("name", "")[:120],
            address=request.POST.get("address", "")[:400],
            vat_id=request.POST.get("vat_id", "")[:20],
            now=request.now,
            actor=CUSTOMER,
        )
    except FerriageError as refusal:
        return order_page(request, mine, error=refusal)
    return redirect("order", mine.code)
