"""Voucher batches: codes that are shown once, in the answer that makes them."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import segno
from django import forms
from django.conf import settings
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ferriage.core.codes import grouped
from ferriage.core.money import Money
from ferriage.payments import actions
from ferriage.payments.models import Reseller, VoucherBatch
from ferriage.payments.providers.voucher import queries, resellers
from ferriage.plans.models import Plan
from ferriage.web.backoffice.fields import TERMS, AmountForm, DayField, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.shared.tags import sold_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

MOST_CODES = 1000


if TYPE_CHECKING:
    _PlanChoice = forms.ModelChoiceField[Plan]
else:
    _PlanChoice = forms.ModelChoiceField


class PlanField(_PlanChoice):
    """A plan, said with its service: two services may have plans of one name."""

    def label_from_instance(self, obj: Plan) -> str:
        """Return what the choice says."""
        return sold_as(obj)


class BatchForm(AmountForm):
    """Codes worth one term of one plan each, sold or given away."""

    name = forms.CharField(label=gettext_lazy("Name of the batch"), max_length=60)
    plan = PlanField(
        Plan.objects.filter(withdrawn_at=None)
        .select_related("service")
        .order_by("service__position", "pk"),
        label=gettext_lazy("Plan"),
    )
    term_months = forms.TypedChoiceField(label=gettext_lazy("Term"), choices=TERMS, coerce=int)
    count = forms.IntegerField(
        label=gettext_lazy("How many codes"), min_value=1, max_value=MOST_CODES
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("What they are"),
        choices=[
            (VoucherBatch.Kind.SOLD, gettext_lazy("sold: somebody paid for them")),
            (VoucherBatch.Kind.FREE, gettext_lazy("free: given away")),
        ],
        widget=forms.RadioSelect,
    )
    paid_per_code = forms.CharField(
        label=gettext_lazy("Paid for each code"),
        max_length=20,
        required=False,
        help_text=gettext_lazy(
            "Of sold codes; in the same currency. Empty: the full worth, or the reseller's price."
        ),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    reseller = forms.ModelChoiceField(
        Reseller.objects.filter(closed_at=None).order_by("name"),
        label=gettext_lazy("Sold by"),
        required=False,
        empty_label=gettext_lazy("the shop itself"),
        help_text=gettext_lazy("A reseller owes for the batch and pays later, within the quota."),
    )
    expires_on = DayField(
        label=gettext_lazy("Last day (UTC)"),
        required=False,
        help_text=gettext_lazy("Codes pay nothing after it. Empty: they never expire."),
    )
    field_order = ["name", "plan", "term_months", "count", "amount", "currency", "kind"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["amount"].label = _("Worth of each code")

    def clean(self) -> dict[str, Any]:
        """Read what was paid for each code in the currency of its worth."""
        cleaned = super().clean()
        worth: Money | None = cleaned.get("money")
        if worth is not None:
            try:
                cleaned["paid"] = self._paid(cleaned, worth)
            except ValueError:
                self.add_error("paid_per_code", _("This is not an amount of this currency."))
        return cleaned

    def _paid(self, cleaned: dict[str, Any], worth: Money) -> Money:
        if cleaned.get("kind") == VoucherBatch.Kind.FREE:
            return Money(0, worth.currency)
        if typed := cleaned.get("paid_per_code"):
            return Money.parse(typed, worth.currency)
        reseller: Reseller | None = cleaned.get("reseller")
        return resellers.price_of(reseller, worth) if reseller else worth


class VoidForm(forms.Form):
    """Codes that go back, and why."""

    codes = forms.CharField(
        label=gettext_lazy("Codes"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=gettext_lazy("One a line. Empty: every code of the batch that was not used."),
    )
    reason = forms.CharField(label=gettext_lazy("Why"), max_length=200)


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label=gettext_lazy("Why"), max_length=200)


def index(request: StaffRequest) -> HttpResponse:
    """List all batches with how many of their codes were used."""
    rows = queries.counted(VoucherBatch.objects.all())
    return render(request, "backoffice/vouchers.html", {"batches": rows})


def batch(request: StaffRequest, code: str) -> HttpResponse:
    """Show one batch: what became of its codes, and what can still be done with them."""
    found = get_object_or_404(queries.counted(VoucherBatch.objects.all()), code=code)
    context = {
        "batch": found,
        "unused": queries.unused(found).count(),
        "reversals": found.reversals.order_by("pk"),
        "expired": found.expires_at is not None and found.expires_at <= request.now,
    }
    return render(request, "backoffice/batch.html", context)


def void(request: StaffRequest, code: str) -> HttpResponse:
    """Take unsold codes of a batch back."""
    found = row(VoucherBatch, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        done = resellers.void_codes(
            batch=found,
            typed=typed["codes"].replace(",", " ").split(),
            reason=typed["reason"],
            now=request.now,
            actor=request.staff.actor,
        )
        text = ngettext(
            "%(count)d code is taken back.", "%(count)d codes are taken back.", done.count
        )
        return said(request, text % {"count": done.count}, "staff-batch", code)

    return form_page(
        request,
        VoidForm(request.POST or None),
        title=_("Take codes back"),
        submit=_("Take back"),
        back=reverse("staff-batch", args=[code]),
        act=act,
        intro=_("Whoever holds a code that is taken back cannot use it. Only unpaid codes can be."),
    )


def write_off(request: StaffRequest, code: str) -> HttpResponse:
    """Make income of what was paid for codes that expired unused."""
    found = row(VoucherBatch, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        resellers.write_off(
            batch=found, reason=typed["reason"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The expired codes are written off."), "staff-batch", code)

    return form_page(
        request,
        ReasonForm(request.POST or None),
        title=_("Write off expired codes"),
        submit=_("Write off"),
        back=reverse("staff-batch", args=[code]),
        act=act,
        intro=_(
            "Expired codes stay owed until you say why they are not. What was paid for them "
            "becomes income. In some places the law lets customers claim it for years."
        ),
    )


def new(request: StaffRequest) -> HttpResponse:
    """Issue a batch; its codes are in the answer and nowhere else, not even in the database."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        issued = actions.issue_vouchers(
            name=typed["name"],
            plan=typed["plan"],
            term_months=typed["term_months"],
            money=typed["money"],
            count=typed["count"],
            kind=typed["kind"],
            paid_per_code=typed["paid"],
            reseller=typed["reseller"],
            expires_at=_end_of(typed["expires_on"]),
            now=request.now,
            actor=request.staff.actor,
        )
        return _codes_page(request, issued.batch, issued.codes)

    return form_page(
        request,
        BatchForm(request.POST or None),
        title=_("New vouchers"),
        submit=_("Issue"),
        back=reverse("staff-vouchers"),
        act=act,
        intro=_("Each code buys one term of one plan, once. The codes are shown a single time."),
    )


def _end_of(day: date | None) -> datetime | None:
    """Return the instant at which a last day is over."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC) if day else None


def _codes_page(request: StaffRequest, batch: VoucherBatch, codes: Sequence[str]) -> HttpResponse:
    shown = [grouped(code) for code in codes]
    # Upper case and digits make the smallest QR code, and phones read no hyphens into it.
    cards = [
        (text, segno.make_qr(code, error="m").svg_data_uri(border=2))
        for code, text in zip(codes, shown, strict=True)
    ]
    file = base64.b64encode("\r\n".join(["code", *shown, ""]).encode()).decode()
    context = {
        "batch": batch,
        "codes": shown,
        "cards": cards,
        "site": urlsplit(settings.FERRIAGE.site.url).netloc,
        "csv": f"data:text/csv;base64,{file}",
    }
    return render(request, "backoffice/voucher_codes.html", context)
