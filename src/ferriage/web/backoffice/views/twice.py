"""Money that went out twice: it came again, or it is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.payments import twice
from ferriage.payments.models import Payment
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.views.recalls import WaitingField

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.payments.twice import Twice
    from ferriage.web.backoffice.access import StaffRequest


class CameForm(forms.Form):
    """Which money came again."""

    receipt = WaitingField(
        Payment.objects.none(),
        label=gettext_lazy("Money without an order"),
        empty_label=None,
        help_text=gettext_lazy("Only what is no more than is missing."),
    )

    def __init__(self, *args: Any, one: Twice, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["receipt"]
        assert isinstance(field, WaitingField)  # noqa: S101 -- declared above
        field.queryset = twice.fitting(one)


class GiveUpForm(forms.Form):
    """Why it will not come again."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def came(request: StaffRequest, code: str) -> HttpResponse:
    """Say that the payer sent it again: the loss is made good by it."""
    one = _found(code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        twice.make_good(
            payment=one.payment,
            receipt=typed["receipt"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("It is booked: so much less is lost."), "staff-payments")

    return form_page(
        request,
        CameForm(request.POST or None, one=one),
        title=_("It came again"),
        submit=_("This is it"),
        back=reverse("staff-payments"),
        act=act,
        intro=_("%(money)s of %(payment)s went out twice.")
        % {"money": one.money, "payment": one.payment.code},
    )


def give_up(request: StaffRequest, code: str) -> HttpResponse:
    """Note that it will not come again."""
    one = _found(code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        twice.give_up(
            payment=one.payment,
            reason=typed["reason"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("Noted."), "staff-payments")

    return form_page(
        request,
        GiveUpForm(request.POST or None),
        title=_("Give it up"),
        submit=_("Note it"),
        back=reverse("staff-payments"),
        act=act,
        intro=_("%(money)s of %(payment)s went out twice. The books hold it as a loss already.")
        % {"money": one.money, "payment": one.payment.code},
    )


def _found(code: str) -> Twice:
    one = twice.of_payment(row(Payment, code))
    if one is None:
        raise Http404
    return one
