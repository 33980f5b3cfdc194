"""Voucher batches: codes that are shown once, in the answer that makes them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Count, Q
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.codes import grouped
from ferriage.core.money import Money
from ferriage.payments import actions
from ferriage.payments.models import VoucherBatch
from ferriage.plans.models import Plan
from ferriage.web.backoffice.fields import TERMS, AmountForm
from ferriage.web.backoffice.pages import form_page
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
        Plan.objects.filter(withdrawn_at=None).select_related("service"), label=gettext_lazy("Plan")
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
        help_text=gettext_lazy("Of sold codes; in the same currency. Empty: the full worth."),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
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
        typed = cleaned.get("paid_per_code") or worth.decimal()
        return Money.parse(typed, worth.currency)


def index(request: StaffRequest) -> HttpResponse:
    """List all batches with how many of their codes were used."""
    used = Count("vouchers", filter=Q(vouchers__used_at__isnull=False))
    rows = VoucherBatch.objects.select_related("plan__service").annotate(used=used).order_by("-pk")
    return render(request, "backoffice/vouchers.html", {"batches": rows})


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


def _codes_page(request: StaffRequest, batch: VoucherBatch, codes: Sequence[str]) -> HttpResponse:
    shown = [grouped(code) for code in codes]
    file = base64.b64encode("\r\n".join(["code", *shown, ""]).encode()).decode()
    context = {"batch": batch, "codes": shown, "csv": f"data:text/csv;base64,{file}"}
    return render(request, "backoffice/voucher_codes.html", context)
