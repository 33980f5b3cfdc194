"""What may be bought on top of a plan, and what it costs for a month."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.plans import actions
from ferriage.plans.models import AddOnPrice, Plan
from ferriage.web.backoffice.fields import AmountForm, row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


GIGABYTE: Final = 10**9


class AddOnForm(AmountForm):
    """The price of an add-on: of a place for a month, of a pack once."""

    kind = forms.ChoiceField(label=gettext_lazy("What"), choices=AddOnPrice.Kind.choices)
    quota = forms.DecimalField(
        label=gettext_lazy("GB in a pack"),
        required=False,
        min_value=Decimal("0.001"),
        max_value=Decimal(1_000_000),
        decimal_places=3,
        error_messages={"min_value": gettext_lazy("A pack adds at least 0.001 GB (1 MB).")},
        help_text=gettext_lazy("Only for more data on a plan with a quota."),
    )
    field_order = ["kind", "quota", "amount", "currency"]

    def clean(self) -> dict[str, Any]:
        """Ask for the size of a pack where it is missing."""
        typed: dict[str, Any] = super().clean() or self.cleaned_data
        is_pack = typed.get("kind") == AddOnPrice.Kind.QUOTA_PACK
        if is_pack and typed.get("quota") is None and "quota" not in self.errors:
            self.add_error("quota", _("Say how many GB a pack adds to the month."))
        return typed


def set_price(request: StaffRequest, code: str) -> HttpResponse:
    """Sell an add-on to a plan at a price for each month."""
    found = row(Plan, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.set_addon_price(
            plan=found,
            kind=typed["kind"],
            quota_bytes=int(typed["quota"] * GIGABYTE) if typed["quota"] else None,
            money=typed["money"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The price is in force."), "staff-plan", code)

    return form_page(
        request,
        AddOnForm(request.POST or None),
        title=_("Add-on to %(plan)s") % {"plan": found.name},
        submit=_("Set price"),
        back=reverse("staff-plan", args=[code]),
        act=act,
        intro=_(
            "A place is priced for one month; customers buy it for what is left of a term and pay"
            " for that by the second. A pack is priced once; it adds to the month of the quota in"
            " which it is paid."
        ),
    )


def end_price(request: StaffRequest, code: str) -> HttpResponse:
    """Sell an add-on no more; who has it keeps it to the end of its term."""
    found = get_object_or_404(AddOnPrice.objects.select_related("plan"), code=code)
    actions.end_addon_price(price=found, now=request.now, actor=request.staff.actor)
    return said(request, _("It is not sold any more."), "staff-plan", found.plan.code)
