"""Resellers: what they hold and owe, what they paid, and their statements month by month."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.money import Money
from ferriage.payments.models import Payment, Reseller
from ferriage.payments.providers.voucher import queries, resellers
from ferriage.web.backoffice.fields import YEARS, AmountForm, row, usual_currency
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from ferriage.web.backoffice.access import StaffRequest


class TermsForm(forms.Form):
    """What a reseller gets off, and what they may hold without having paid."""

    discount = forms.DecimalField(
        label=gettext_lazy("Discount in percent"),
        min_value=0,
        max_value=99,
        decimal_places=2,
        initial=0,
        help_text=gettext_lazy("Off the worth of a code; each batch may say another price."),
    )
    quota_codes = forms.IntegerField(
        label=gettext_lazy("Most unpaid codes"),
        min_value=0,
        required=False,
        help_text=gettext_lazy("Empty: as many as the amount allows."),
    )
    quota = forms.CharField(
        label=gettext_lazy("Most that may be owed"),
        max_length=20,
        required=False,
        help_text=gettext_lazy("In their currency. Empty: any amount."),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )

    def __init__(self, *args: Any, currency: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self._currency = currency

    def clean(self) -> dict[str, Any]:
        """Read quota and discount as the house takes them."""
        cleaned: dict[str, Any] = super().clean() or {}
        currency = self._currency or str(cleaned.get("currency", "")).upper()
        cleaned["discount_bp"] = int((cleaned.get("discount") or 0) * 100)
        cleaned["quota_minor"] = None
        if cleaned.get("quota"):
            try:
                cleaned["quota_minor"] = Money.parse(cleaned["quota"], currency).amount_minor
            except ValueError:
                self.add_error("quota", _("This is not an amount of this currency."))
        return cleaned


class NewForm(TermsForm):
    """Somebody who sells codes."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    slug = forms.CharField(
        label=gettext_lazy("Short name for the books"),
        max_length=40,
        help_text=gettext_lazy("Small letters, digits and hyphens; it is never changed."),
    )
    currency = forms.CharField(label=gettext_lazy("Currency"), max_length=3, initial=usual_currency)
    field_order = ["name", "slug", "currency"]


class PaidForm(AmountForm):
    """What a reseller paid."""

    transaction_id = forms.CharField(
        label=gettext_lazy("The bank's number of the payment"), max_length=100
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)


if TYPE_CHECKING:
    _PaymentChoice = forms.ModelChoiceField[Payment]
else:
    _PaymentChoice = forms.ModelChoiceField


class PaymentField(_PaymentChoice):
    """Money without an order, said with its amount and the day it was booked."""

    def label_from_instance(self, obj: Payment) -> str:
        """Return what the choice says."""
        money = Money(obj.received_minor or 0, obj.currency)
        return f"{money} · {obj.captured_at:%Y-%m-%d} · {obj.transaction_id}"


class ApplyForm(forms.Form):
    """Money that a reseller paid without quoting their reference."""

    payment = PaymentField(
        Payment.objects.none(), label=gettext_lazy("Money without an order"), empty_label=None
    )

    def __init__(self, *args: Any, reseller: Reseller, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["payment"]
        assert isinstance(field, PaymentField)  # noqa: S101 -- declared above
        field.queryset = queries.payments_that_fit(reseller)


def index(request: StaffRequest) -> HttpResponse:
    """List resellers with what they hold and owe."""
    everybody = list(Reseller.objects.order_by("name"))
    held = queries.holdings(everybody)
    rows = [(found, held[found.pk]) for found in everybody]
    return render(request, "backoffice/resellers.html", {"resellers": rows})


def new(request: StaffRequest) -> HttpResponse:
    """Add a reseller."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        added = resellers.add_reseller(
            slug=typed["slug"],
            name=typed["name"],
            currency=typed["currency"].upper(),
            discount_bp=typed["discount_bp"],
            quota_codes=typed["quota_codes"],
            quota_minor=typed["quota_minor"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The reseller is added."), "staff-reseller", added.code)

    return form_page(
        request,
        NewForm(request.POST or None),
        title=_("New reseller"),
        submit=_("Add"),
        back=reverse("staff-resellers"),
        act=act,
        intro=_("A reseller gets codes now, sells them, and pays for them later."),
    )


def reseller(request: StaffRequest, code: str) -> HttpResponse:
    """Show one reseller: batches, what is owed, statements by month."""
    found = row(Reseller, code)
    context = {
        "reseller": found,
        "held": queries.held(found),
        "batches": queries.batches_of(found),
        "months": queries.months_of(found, request.now),
    }
    return render(request, "backoffice/reseller.html", context)


def terms(request: StaffRequest, code: str) -> HttpResponse:
    """Set discount and quota."""
    found = row(Reseller, code)
    quota = found.quota_minor

    def act(typed: dict[str, Any]) -> HttpResponse:
        resellers.set_terms(
            reseller=found,
            discount_bp=typed["discount_bp"],
            quota_codes=typed["quota_codes"],
            quota_minor=typed["quota_minor"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("Discount and quota are set."), "staff-reseller", code)

    initial = {
        "discount": f"{found.discount_bp / 100:g}",
        "quota_codes": found.quota_codes,
        "quota": "" if quota is None else Money(quota, found.currency).decimal(),
    }
    return form_page(
        request,
        TermsForm(request.POST or None, initial=initial, currency=found.currency),
        title=_("Discount and quota of %s") % found.name,
        submit=_("Set"),
        back=reverse("staff-reseller", args=[code]),
        act=act,
    )


def paid(request: StaffRequest, code: str) -> HttpResponse:
    """Book what a reseller paid against what they owe."""
    found = row(Reseller, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        resellers.book_by_hand(
            reseller=found,
            money=typed["money"],
            transaction_id=typed["transaction_id"],
            limit=settings.FERRIAGE.shop.receipt_limit,
            note=typed["note"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The payment is booked."), "staff-reseller", code)

    owed = Money(max(queries.held(found).owed_minor, 0), found.currency)
    initial = {"amount": owed.decimal(), "currency": found.currency}
    return form_page(
        request,
        PaidForm(request.POST or None, initial=initial),
        title=_("Payment of %s") % found.name,
        submit=_("Book"),
        back=reverse("staff-reseller", args=[code]),
        act=act,
        intro=_("%(money)s is owed. What quotes %(reference)s in a bank statement books itself.")
        % {"money": owed, "reference": found.reference},
    )


def apply(request: StaffRequest, code: str) -> HttpResponse:
    """Give money that came without a usable reference to the reseller who paid it."""
    found = row(Reseller, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        resellers.apply_unallocated(
            payment=typed["payment"],
            reseller=found,
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The payment is booked."), "staff-reseller", code)

    return form_page(
        request,
        ApplyForm(request.POST or None, reseller=found),
        title=_("Money that %s paid") % found.name,
        submit=_("Book"),
        back=reverse("staff-reseller", args=[code]),
        act=act,
        intro=_("Money without an order is listed that is not more than what is owed."),
    )


def make_link(request: StaffRequest, code: str) -> HttpResponse:
    """Make the link to a reseller's own page; an earlier one ends."""
    found = row(Reseller, code)
    token = resellers.make_link(reseller=found, now=request.now, actor=request.staff.actor)
    url: str = settings.FERRIAGE.site.url
    context = {
        "link": url.rstrip("/") + reverse("reseller-page", args=[token]),
        "title": _("Link for %s") % found.name,
        "back": reverse("staff-reseller", args=[code]),
    }
    return render(request, "backoffice/reseller_link.html", context)


def end_link(request: StaffRequest, code: str) -> HttpResponse:
    """End the link to a reseller's own page."""
    resellers.end_link(reseller=row(Reseller, code), now=request.now, actor=request.staff.actor)
    return said(request, _("The link is ended."), "staff-reseller", code)


def month(request: StaffRequest, code: str, year: int, number: int) -> HttpResponse:
    """Show the settlement statement of a month."""
    told = month_of(row(Reseller, code), year, number)
    return render(request, "backoffice/reseller_month.html", {"month": told})


def as_csv(request: StaffRequest, code: str, year: int, number: int) -> HttpResponse:
    """Hand out the settlement statement of a month as CSV."""
    del request
    return csv_of(month_of(row(Reseller, code), year, number))


def month_of(found: Reseller, year: int, number: int) -> queries.Month:
    """Return a month's statement, or answer 404 for a month that is none."""
    if year not in YEARS or number not in range(1, 13):
        raise Http404
    return queries.month(found, year, number)


def csv_of(told: queries.Month) -> HttpResponse:
    """Return a month's statement as CSV: a line for each batch and payment, and the sums."""
    currency = told.reseller.currency
    lines: list[tuple[object, ...]] = [
        ("what", "code", "day", "codes", "used", "amount", "currency")
    ]
    lines.append(("opening", "", told.start.date(), "", "", _decimal(told.opening_minor, currency)))
    lines += [
        (
            "batch",
            batch.code,
            batch.issued_at.date(),
            batch.count,
            getattr(batch, "used", 0),
            _decimal(batch.count * batch.paid_per_code_minor, currency),
        )
        for batch in told.batches
    ]
    lines += [
        (
            "payment",
            payment.code,
            payment.at.date(),
            "",
            "",
            _decimal(-payment.amount_minor, currency),
        )
        for payment in told.payments
    ]
    last = told.end.date()
    if told.returned_minor:
        back = _decimal(told.returned_minor, currency)
        lines.append(("paid and returned", "", last, "", "", back))
    lines += [
        *(
            ("not used up", one.code, one.at.date(), "", "", _decimal(-one.amount_minor, currency))
            for one in told.unused
        ),
        ("taken back", "", last, told.void_codes, "", _decimal(-told.void_minor, currency)),
        ("redeemed", "", last, told.redeemed_codes, "", ""),
        ("owed", "", last, "", "", _decimal(told.closing_minor, currency)),
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(lines[0])
    writer.writerows((*line, currency) for line in lines[1:])
    name = f"{told.reseller.slug}-{told.start:%Y-%m}.csv"
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _decimal(minor: int, currency: str) -> str:
    return Money(minor, currency).decimal()
