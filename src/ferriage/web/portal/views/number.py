"""The page of an account number, which is kept nowhere: what shows it brings it along.

A form on the page carries the number, so that an answer in another language, or one that refuses
the order, can show it once more. Nobody's number but their own is shown to anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables

from ferriage.accounts import queries
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.core.errors import FerriageError
    from ferriage.web.portal.customer import VisitorRequest


@sensitive_variables("number")
def number_page(
    request: VisitorRequest,
    number: str,
    price: str = "",
    order: dict[str, Any] | None = None,
    error: FerriageError | None = None,
) -> HttpResponse:
    """Show a number, with what is bought below, or with why it cannot be.

    Args:
        price: Code of the price that is bought, if any.
        order: What the form of place and consent shows for it.
    """
    # A page of an order is come back to by the one that begins it.
    address = reverse("open-account") if price else request.path
    context = {**(order or {}), "error": error, **carried(number, price, address)}
    status = status_of(error) if error else 200
    response = render(request, "portal/number.html", context, status=status)
    add_never_cache_headers(response)
    return response


@sensitive_variables("number")
def carried(number: str, price: str, address: str) -> dict[str, Any]:
    """Return what a page needs that shows a number, and shows it in another language."""
    again_with = {"number": number, "price": price}
    return {"number": number, "again": address, "again_with": again_with}


@sensitive_variables("number")
def own_number(request: VisitorRequest) -> str:
    """Return the number that a form brought along; empty if there is none or it is not theirs."""
    number = request.POST.get("number", "")
    mine = number and queries.account_by_number(number) == request.customer
    return number if mine else ""
