"""Orders, to look at: their states are moved by payments and dates, never by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.paginator import Paginator
from django.shortcuts import render

from ferriage.orders.models import Order
from ferriage.payments.models import Payment
from ferriage.web.backoffice.fields import row

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50


def index(request: StaffRequest) -> HttpResponse:
    """List orders, newest first, of one state where `?state=` says so."""
    rows = Order.objects.select_related("plan__service").order_by("-pk")
    state = request.GET.get("state", "")
    if state in Order.State.values:
        rows = rows.filter(state=state)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    query = f"state={state}" if state else ""
    context = {"page": page, "states": Order.State.choices, "state": state, "query": query}
    return render(request, "backoffice/orders.html", context)


def order(request: StaffRequest, code: str) -> HttpResponse:
    """Show one order with its payments and refunds."""
    found = row(Order, code)
    payments = Payment.objects.filter(order=found).prefetch_related("refunds").order_by("pk")
    return render(request, "backoffice/order.html", {"order": found, "payments": payments})
