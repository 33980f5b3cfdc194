"""What a bank took back: it came again, it is gone, or it was something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.money import Money
from ferriage.payments import disputes, recalls, suspense
from ferriage.payments.models import Dispute, Payment
from ferriage.payments.providers.bank import returns
from ferriage.payments.providers.bank.actions import PROVIDER
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import OTHER_ACCOUNTS

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

if TYPE_CHECKING:
    _PaymentChoice = forms.ModelChoiceField[Payment]
else:
    _PaymentChoice = forms.ModelChoiceField


class PaymentField(forms.CharField):
    """A payment that came by the bank, named by its code or by what its payer quoted."""

    def clean(self, value: Any) -> Any:
        """Return the payment, or nothing where nothing was typed.

        Raises:
            ValidationError: No such payment came, or several did by one reference.
        """
        named = super().clean(value).strip()
        if not named:
            return None
        came = Payment.objects.filter(provider=PROVIDER, state=Payment.State.CAPTURED)
        found = list(came.filter(code=named) or returns.came_by([named.upper()]).order_by("pk"))
        if not found:
            raise forms.ValidationError(_("No payment that came has this code or reference."))
        if len(found) > 1:
            raise forms.ValidationError(
                _("Several payments came by this reference: %(payments)s. Name one by its code.")
                % {"payments": "; ".join(map(_told, found))}
            )
        return found[0]


class WaitingField(_PaymentChoice):
    """Money without an order, said with the day on which it was booked."""

    def label_from_instance(self, obj: Payment) -> str:
        """Return what the choice says."""
        return _told(obj)


class WonForm(forms.Form):
    """Which money came again."""

    payment = WaitingField(
        Payment.objects.none(),
        label=gettext_lazy("Money without an order"),
        empty_label=None,
        help_text=gettext_lazy("Only what is of exactly this amount."),
    )

    def __init__(self, *args: Any, dispute: Dispute, **options: Any) -> None:
        super().__init__(*args, **options)
        same = suspense.untouched().filter(
            account=None,
            received_minor=dispute.amount_minor,
            currency=dispute.currency,
        )
        cast("WaitingField", self.fields["payment"]).queryset = same.order_by("-pk")

    def nothing_fits(self) -> str:
        """Return in words that there is no choice; nothing where there is one."""
        found = cast("WaitingField", self.fields["payment"]).queryset
        if found is not None and found.exists():
            return ""
        return _(
            "No money of exactly this amount waits without an order. Book it first when it comes."
        )


class OtherForm(forms.Form):
    """What it was instead."""

    payment = PaymentField(
        label=gettext_lazy("It took back another payment"),
        required=False,
        max_length=24,
        help_text=gettext_lazy("The payment's code, or the reference that its payer quoted."),
    )
    account = forms.ChoiceField(
        label=gettext_lazy("Or it was"),
        choices=[("", "–"), *((name, OTHER_ACCOUNTS[name]) for name in recalls.OTHER_ACCOUNTS)],
        required=False,
    )
    reason = forms.CharField(label=gettext_lazy("What for"), max_length=200, required=False)

    def clean(self) -> dict[str, Any]:
        """Ask for one of both."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(cleaned.get("payment")) == bool(cleaned.get("account")):
            raise forms.ValidationError(_("Name another payment or what else it was, one of both."))
        return cleaned


def won(request: StaffRequest, code: str) -> HttpResponse:
    """Say which money came again."""
    found = _open(code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        recalls.win(
            dispute=found, payment=typed["payment"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The money is back, and the service goes on."), "staff-payments")

    return form_page(
        request,
        WonForm(request.POST or None, dispute=found),
        title=_("The money came again"),
        submit=_("This is it"),
        back=reverse("staff-payments"),
        act=act,
        intro=_("Of %(money)s. What quotes the payment's own reference ends this by itself.")
        % {"money": _money(found)},
    )


def lost(request: StaffRequest, code: str) -> HttpResponse:
    """Say that the money is gone, after asking once more."""
    found = _open(code)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        disputes.lose(dispute=found, now=request.now, actor=request.staff.actor)
        return said(request, _("The money is booked as gone."), "staff-payments")

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("The money is gone"),
        submit=_("It is gone"),
        back=reverse("staff-payments"),
        act=act,
        intro=_(
            "%(money)s leave the books. What was paid with it ends now, and what was earned of it "
            "is taken back, also from partners’ shares. This cannot be undone."
        )
        % {"money": _money(found)},
    )


def other(request: StaffRequest, code: str) -> HttpResponse:
    """Say that the bank took something else."""
    found = _open(code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        how: dict[str, Any] = {"dispute": found, "now": request.now, "actor": request.staff.actor}
        if typed["payment"]:
            recalls.move(payment=typed["payment"], **how)
        else:
            recalls.void(account=typed["account"], reason=typed["reason"], **how)
        return said(request, _("The service goes on."), "staff-payments")

    return form_page(
        request,
        OtherForm(request.POST or None),
        title=_("It was not this payment"),
        submit=_("Book"),
        back=reverse("staff-payments"),
        act=act,
        intro=_("%(money)s, %(line)s") % {"money": _money(found), "line": found.reference},
    )


def _open(code: str) -> Dispute:
    return get_object_or_404(Dispute, code=code, account=None)


def _told(payment: Payment) -> str:
    """Return a payment's code, its money, and the day on which it was booked."""
    money = Money(payment.received_minor or 0, payment.currency)
    return f"{payment.code} · {money} · {payment.captured_at:%Y-%m-%d}"


def _money(dispute: Dispute) -> Money:
    return Money(dispute.amount_minor, dispute.currency)
