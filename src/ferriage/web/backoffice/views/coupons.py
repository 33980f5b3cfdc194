"""Coupons: made once, ended once; what they grant is never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.money import Money, is_currency
from ferriage.orders import actions
from ferriage.orders.coupons import coupons
from ferriage.orders.models import Coupon
from ferriage.plans.models import Plan
from ferriage.web.backoffice.fields import TERMS, InstantField, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.shared.tags import sold_as

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


if TYPE_CHECKING:
    _PlansChoice = forms.ModelMultipleChoiceField[Plan]
else:
    _PlansChoice = forms.ModelMultipleChoiceField

BPS_IN_A_PERCENT: Final = 100


class PlansField(_PlansChoice):
    """Plans, said with their services."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Plan) -> str:
        """Return what the choice says."""
        return sold_as(obj)


class CouponForm(forms.Form):
    """A word and what it grants; `cleaned_data["grant"]` is what the action takes."""

    word = forms.CharField(
        label=gettext_lazy("Word"),
        max_length=24,
        help_text=gettext_lazy("What customers type: 3 to 24 letters and digits, in any case."),
    )
    note = forms.CharField(label=gettext_lazy("Note for staff"), max_length=100, required=False)
    percent = forms.DecimalField(
        label=gettext_lazy("Per cent off"),
        required=False,
        min_value=0,
        max_value=100,
        decimal_places=2,
        help_text=gettext_lazy("Rounded down to the minor unit. Either this or an amount."),
    )
    amount = forms.CharField(
        label=gettext_lazy("Or an amount off"),
        max_length=20,
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    currency = forms.CharField(
        label=gettext_lazy("Currency"),
        max_length=3,
        required=False,
        help_text=gettext_lazy("Of the amount; with per cent, empty is every currency."),
    )
    plans = PlansField(
        Plan.objects.filter(withdrawn_at=None)
        .select_related("service")
        .order_by("service__position", "pk"),
        label=gettext_lazy("Plans"),
        required=False,
        help_text=gettext_lazy("None chosen is all."),
    )
    terms = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Terms"),
        choices=TERMS,
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen is all."),
    )
    first_only = forms.BooleanField(label=gettext_lazy("For a first purchase only"), required=False)
    most_uses = forms.IntegerField(
        label=gettext_lazy("How often in all"),
        min_value=1,
        max_value=1_000_000,
        required=False,
        help_text=gettext_lazy("Empty is without limit. Open orders count until they run out."),
    )
    most_per_account = forms.IntegerField(
        label=gettext_lazy("How often for each account"),
        min_value=1,
        max_value=1_000_000,
        required=False,
        initial=1,
    )
    valid_from = InstantField(label=gettext_lazy("From (UTC)"))
    valid_to = InstantField(label=gettext_lazy("Until (UTC)"), required=False)

    def clean(self) -> dict[str, Any]:
        """Put what the coupon grants beside what was typed."""
        cleaned: dict[str, Any] = super().clean() or {}
        currency = cleaned.get("currency", "").upper()
        if cleaned.get("amount") and cleaned.get("percent") is not None:
            self.add_error("amount", _("Fill in per cent or an amount, and leave the other empty."))
        elif cleaned.get("amount") and not currency:
            self.add_error("currency", _("Say which currency the amount is in, such as CNY."))
        elif cleaned.get("amount") and not is_currency(currency):
            self.add_error("currency", _("No currency has this code."))
        if self.errors:
            return cleaned
        try:
            off = Money.parse(cleaned["amount"], currency) if cleaned["amount"] else None
        except ValueError:
            self.add_error("amount", _("This is not an amount of this currency."))
            return cleaned
        percent = cleaned["percent"]
        cleaned["grant"] = actions.Grant(
            off_bps=None if percent is None else int(percent * BPS_IN_A_PERCENT),
            off=off,
            plans=list(cleaned["plans"]),
            terms=cleaned["terms"],
            currency=currency,
            first_only=cleaned["first_only"],
            most_uses=cleaned["most_uses"],
            most_per_account=cleaned["most_per_account"],
            valid_from=cleaned["valid_from"],
            valid_to=cleaned["valid_to"],
        )
        return cleaned


def index(request: StaffRequest) -> HttpResponse:
    """List all coupons with how often they were used."""
    context = {"coupons": [(coupon, _takes_off(coupon)) for coupon in coupons()]}
    return render(request, "backoffice/coupons.html", context)


def new(request: StaffRequest) -> HttpResponse:
    """Make a coupon."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.make_coupon(
            word=typed["word"],
            grant=typed["grant"],
            note=typed["note"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The coupon can be used."), "staff-coupons")

    return form_page(
        request,
        CouponForm(request.POST or None, initial={"valid_from": request.now}),
        title=_("New coupon"),
        submit=_("Make it"),
        back=reverse("staff-coupons"),
        act=act,
        intro=_("What it grants cannot be changed afterwards: end it and make another one."),
    )


def end(request: StaffRequest, code: str) -> HttpResponse:
    """End a coupon; orders that have it keep what it took off."""
    actions.end_coupon(coupon=row(Coupon, code), now=request.now, actor=request.staff.actor)
    return said(request, _("The coupon is ended."), "staff-coupons")


def _takes_off(coupon: Coupon) -> str:
    if coupon.off_minor is not None:
        return str(Money(coupon.off_minor, coupon.currency))
    whole, part = divmod(coupon.off_bps or 0, BPS_IN_A_PERCENT)
    return f"{whole}.{part:02} %" if part else f"{whole} %"
