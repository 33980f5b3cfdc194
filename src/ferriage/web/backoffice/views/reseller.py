"""A reseller's own page, by a private link: their batches and statements, and nothing else.

No log-in, no cookie. The token in the address is all the authority there is; nothing can be sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import render
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from ferriage.core import clock
from ferriage.payments.providers.voucher import queries
from ferriage.web.backoffice.views.outside import GONE, sealed_off
from ferriage.web.backoffice.views.resellers import csv_of, month_of

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@sensitive_variables("token")
def page(request: HttpRequest, token: str) -> HttpResponse:
    """Show what a reseller holds and owes."""
    found = queries.by_token(token)
    if found is None:
        return _gone(request)
    context = {
        "reseller": found,
        "held": queries.held(found),
        "batches": queries.batches_of(found),
        "months": queries.months_of(found, clock.now()),
    }
    return _shown(request, "backoffice/reseller_page.html", token, context)


@require_safe
@sensitive_variables("token")
def month(request: HttpRequest, token: str, year: int, number: int) -> HttpResponse:
    """Show the settlement statement of a month."""
    found = queries.by_token(token)
    if found is None:
        return _gone(request)
    context = {"month": month_of(found, year, number)}
    return _shown(request, "backoffice/reseller_page_month.html", token, context)


@require_safe
@sensitive_variables("token")
def as_csv(request: HttpRequest, token: str, year: int, number: int) -> HttpResponse:
    """Hand out the settlement statement of a month as CSV."""
    found = queries.by_token(token)
    if found is None:
        return _gone(request)
    return sealed_off(csv_of(month_of(found, year, number)))


def _shown(
    request: HttpRequest, template: str, token: str, context: dict[str, Any]
) -> HttpResponse:
    return sealed_off(render(request, template, context | {"token": token}))


def _gone(request: HttpRequest) -> HttpResponse:
    return sealed_off(render(request, "backoffice/outside_gone.html", status=GONE))
