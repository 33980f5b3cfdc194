"""What a customer brings along from another shop, where no import says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.arrivals.openings import LONGEST, LONGEST_REASON
from ferriage.arrivals.queries import opening_of
from ferriage.orders.models import Order
from ferriage.payments import seconds
from ferriage.plans.models import Subscription
from ferriage.web.backoffice.fields import AmountForm, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import WAITS

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.accounts.models import Account
    from ferriage.web.backoffice.access import StaffRequest


class OpeningForm(AmountForm):
    """A balance in another shop, and whose it was there."""

    source = forms.CharField(
        label=gettext_lazy("The other shop"),
        max_length=LONGEST,
        help_text=gettext_lazy("Its name in the import’s file, if there was an import."),
    )
    number = forms.CharField(
        label=gettext_lazy("The customer’s number there"),
        max_length=LONGEST,
        help_text=gettext_lazy(
            "One number brings a balance once. No mail address: only a hash of this is kept."
        ),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=LONGEST_REASON)
    field_order = ["source", "number", "amount", "currency", "reason"]


def of_subscription(request: StaffRequest, code: str) -> HttpResponse:
    """Credit what the holder of a subscription brings along."""
    account = row(Subscription, code).account
    return _opening(request, account, None, ("staff-subscription", code))


def of_order(request: StaffRequest, code: str) -> HttpResponse:
    """Credit what whoever placed an order brings along."""
    found = row(Order, code)
    if found.account is None:
        raise Http404
    return _opening(request, found.account, found, ("staff-order", code))


class TakeBackForm(forms.Form):
    """Why an opening balance was a mistake."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=LONGEST_REASON)


def take_back(request: StaffRequest, code: str) -> HttpResponse:
    """Ask why, then take an opening balance back that was typed by mistake."""
    move = opening_of(code)
    if move is None:
        raise Http404

    def act(typed: dict[str, Any]) -> HttpResponse:
        waits = seconds.take_back(
            move=move,
            reason=typed["reason"],
            limit=settings.FERRIAGE.shop.receipt_limit,
            now=request.now,
            actor=request.staff.actor,
        )
        text = str(WAITS) if waits else _("It is taken back.")
        return said(request, text, "staff-ledger-source", code)

    return form_page(
        request,
        TakeBackForm(request.POST or None),
        title=_("Take back the opening balance of %(money)s") % {"money": move.money},
        submit=_("Take it back"),
        back=reverse("staff-ledger-source", args=[code]),
        act=act,
        intro=_(
            "All of it leaves the customer's balance. That goes only while nothing of it was "
            "spent. The same number of the other shop can be typed again afterwards."
        ),
    )


def _opening(
    request: StaffRequest, account: Account, order: Order | None, back: tuple[str, str]
) -> HttpResponse:
    def act(typed: dict[str, Any]) -> HttpResponse:
        waits = seconds.bring(
            account=account,
            order=order,
            money=typed["money"],
            source=typed["source"],
            number=typed["number"],
            reason=typed["reason"],
            limit=settings.FERRIAGE.shop.receipt_limit,
            now=request.now,
            actor=request.staff.actor,
        )
        text = str(WAITS) if waits else _("It is in the customer's balance now.")
        return said(request, text, *back)

    return form_page(
        request,
        OpeningForm(request.POST or None),
        title=_("Opening balance"),
        submit=_("Credit"),
        back=reverse(back[0], args=back[1:]),
        act=act,
        intro=_(
            "What this customer had left in another shop. From now on it is owed here; it is no "
            "income, and no money that came. It can be taken back only until a part is spent."
        ),
    )
