"""What a line of a statement was that nobody could tell by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.money import Money
from ferriage.payments.models import Refund, StatementLine
from ferriage.payments.providers.bank import booking, queries
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.views.recalls import PaymentField
from ferriage.web.backoffice.words import OTHER_ACCOUNTS

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

if TYPE_CHECKING:
    _RefundChoice = forms.ModelChoiceField[Refund]
else:
    _RefundChoice = forms.ModelChoiceField


class RefundField(_RefundChoice):
    """A queued refund, said with its amount and the day it was queued."""

    def label_from_instance(self, obj: Refund) -> str:
        """Return what the choice says."""
        return f"{obj.code} · {Money(obj.amount_minor, obj.currency)} · {obj.created_at:%Y-%m-%d}"


class LineForm(forms.Form):
    """What a line was: a refund's payment, a payment taken back, or something with a reason."""

    refund = RefundField(
        Refund.objects.none(),
        label=gettext_lazy("It paid this refund"),
        required=False,
        empty_label=gettext_lazy("none of them"),
    )
    payment = PaymentField(
        label=gettext_lazy("Or it took this payment back"),
        required=False,
        max_length=24,
        help_text=gettext_lazy(
            "The payment’s code, or the reference that its payer quoted. Its service is then held "
            "until you know whether the money comes again."
        ),
    )
    account = forms.ChoiceField(
        label=gettext_lazy("Or it was"),
        required=False,
    )
    reason = forms.CharField(label=gettext_lazy("What for"), max_length=200, required=False)

    def __init__(self, *args: Any, line: StatementLine, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["refund"]
        assert isinstance(field, RefundField)  # noqa: S101 -- declared above
        field.queryset = queries.refunds_that_fit(line)
        account = self.fields["account"]
        assert isinstance(account, forms.ChoiceField)  # noqa: S101 -- declared above
        offered = booking.choices_for(line)
        account.choices = [("", "–"), *((name, OTHER_ACCOUNTS[name]) for name in offered)]
        if line.amount_minor > 0:
            del self.fields["refund"], self.fields["payment"]

    def clean(self) -> dict[str, Any]:
        """Ask for one of them."""
        cleaned: dict[str, Any] = super().clean() or {}
        said_of_it = [cleaned.get(name) for name in ("refund", "payment", "account")]
        if not self.errors and sum(map(bool, said_of_it)) != 1:
            raise forms.ValidationError(
                _("Choose a refund, a payment or what else it was, one of them.")
            )
        return cleaned


def line(request: StaffRequest, code: str) -> HttpResponse:
    """Say what a line was that nobody could tell by itself."""
    found = row(StatementLine, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        how: dict[str, Any] = {"now": request.now, "actor": request.staff.actor}
        if typed.get("refund"):
            booking.pay_with(line=found, refund=typed["refund"], **how)
        elif typed.get("payment"):
            booking.take_back_with(line=found, payment=typed["payment"], **how)
        else:
            booking.post_other(line=found, account=typed["account"], reason=typed["reason"], **how)
        return said(request, _("The line is booked."), "staff-statements")

    return form_page(
        request,
        LineForm(request.POST if request.method == "POST" else None, line=found),
        title=_("What was this?"),
        submit=_("Book"),
        back=reverse("staff-statements"),
        act=act,
        intro=f"{_said(found)} {_why(found)}".strip(),
    )


def _said(line: StatementLine) -> str:
    return _("%(day)s, %(money)s: %(text)s") % {
        "day": line.booked_on,
        "money": Money(line.amount_minor, line.currency),
        "text": line.text or "–",
    }


def _why(line: StatementLine) -> str:
    """Say why money that came waits, and what to do."""
    if line.amount_minor < 0:
        return ""
    return _(
        "A receipt with its number, %(number)s, was typed by hand with another amount: %(money)s. "
        "If it is the same money, say that it is booked already, and undo what was typed wrongly."
    ) % {"number": line.bank_reference, "money": line.note}
