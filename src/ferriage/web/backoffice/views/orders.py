"""Orders: their states are moved by payments and dates, never by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.arrivals.queries import openings_of
from ferriage.orders import actions, places
from ferriage.orders.models import Order
from ferriage.payments import passing
from ferriage.payments.models import Dispute, Payment, Refund
from ferriage.payments.queries import taken_back
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50


class ShownForm(forms.Form):
    """One of the kinds that a customer can show to staff."""

    kind = forms.ChoiceField(
        label=gettext_lazy("What you saw"),
        choices=[(kind.value, kind.label) for kind in places.SHOWN],
        widget=forms.RadioSelect,
    )


def index(request: StaffRequest) -> HttpResponse:
    """List orders, newest first, of one state where `?state=` says so."""
    rows = Order.objects.select_related("plan__service").order_by("-pk")
    state = request.GET.get("state", "")
    if state in Order.State.values:
        rows = rows.filter(state=state)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    query = f"state={state}" if state else ""
    context: dict[str, Any] = {"page": page, "state": state, "query": query}
    context["states"] = Order.State.choices
    context["taken_back"] = taken_back(list(page))
    return render(request, "backoffice/orders.html", context)


def order(request: StaffRequest, code: str) -> HttpResponse:
    """Show one order with its payments, refunds, and what says where the customer is."""
    found = row(Order, code)
    refunds = Prefetch("refunds", queryset=Refund.objects.order_by("pk"))
    disputes = Prefetch("disputes", queryset=Dispute.objects.order_by("pk"))
    payments = Payment.objects.filter(order=found).prefetch_related(refunds, disputes)
    evidence = places.evidence_of(found)
    context = {"order": found, "payments": payments.order_by("pk"), "place_evidence": evidence}
    context |= {"kinds": places.agreeing_kinds(found), "enough": places.ENOUGH}
    context["openings"] = openings_of(found.account) if found.account else []
    context["taken_back"] = taken_back([found])
    context |= {"given_by": passing.given_by(found), "used_by": passing.used_by(found)}
    context["papers"] = found.documents.order_by("pk")
    return render(request, "backoffice/order.html", context)


def note_shown(request: StaffRequest, code: str) -> HttpResponse:
    """Note what a customer showed that says where they are: its kind, nothing of it."""
    found = row(Order, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.note_shown(
            order=found, kind=typed["kind"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("Noted."), "staff-order", code)

    return form_page(
        request,
        ShownForm(request.POST or None),
        title=_("What the customer showed"),
        submit=_("Note it"),
        back=reverse("staff-order", args=[code]),
        act=act,
        intro=_(
            "Only if it says that they are in %(place)s. Two kinds outweigh a payment from a place "
            "where the plan may not be sold. Keep no copy: the kind is all that is stored."
        )
        % {"place": found.place},
    )
