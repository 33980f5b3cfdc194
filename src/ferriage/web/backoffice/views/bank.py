"""Bank transfers: receipts booked by hand, money without an order, refunds to be paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.conf import settings
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals import site
from ferriage.approvals.actions import EvidenceFile
from ferriage.core.money import Money
from ferriage.orders.models import Order
from ferriage.payments import actions, payback, queries, seconds, suspense
from ferriage.payments.models import HandReceipt, InboxEvent, Payment, Refund
from ferriage.payments.providers.bank import receipts, suggesting
from ferriage.web.backoffice.fields import AmountForm, PlaceField, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import OUTCOMES, WAITS
from ferriage.web.shared.tags import sold_as
from ferriage.web.shared.words import REASONS

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.payments.actions import Captured
    from ferriage.web.backoffice.access import StaffRequest


if TYPE_CHECKING:
    _OrderChoice = forms.ModelChoiceField[Order]
else:
    _OrderChoice = forms.ModelChoiceField


class ReceiptForm(AmountForm):
    """Money that came to the bank account or over the counter, as the paper shows it."""

    kind = forms.ChoiceField(
        label=gettext_lazy("How it came"), choices=HandReceipt.Kind.choices, required=False
    )

    reference = forms.CharField(
        label=gettext_lazy("Reference, as the payer wrote it"), max_length=60, required=False
    )
    transaction_id = forms.CharField(
        label=gettext_lazy("The bank's own number of the transaction"),
        max_length=100,
        help_text=gettext_lazy("One number is booked once, however often it is typed."),
    )
    payer_place = PlaceField(
        label=gettext_lazy("Country of the payer's bank"),
        required=False,
        help_text=gettext_lazy("ISO 3166 code, as the statement shows it; empty if it does not."),
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)
    file = forms.FileField(
        label=gettext_lazy("Evidence"),
        required=False,
        help_text=gettext_lazy(
            "PDF, PNG, JPEG or plain text. Needed for cash, and above the limit, where a second "
            "person looks at it."
        ),
    )
    field_order = ["kind", "reference", "amount", "currency", "transaction_id", "payer_place"]

    def evidence(self) -> EvidenceFile | None:
        """Return the file as it was handed in, if one was."""
        given = self.cleaned_data["file"]
        if not given:
            return None
        return EvidenceFile(
            data=given.read(), title=given.name[:120], media_type=given.content_type or ""
        )


class PaidForm(forms.Form):
    """How a refund was paid; what no payment brought may go out of the till, too."""

    reference = forms.CharField(
        label=gettext_lazy("The bank's number of your payment"), max_length=100
    )
    paid_from = forms.ChoiceField(
        label=gettext_lazy("Paid from"),
        choices=[
            ("assets:bank", gettext_lazy("the bank account")),
            ("assets:cash", gettext_lazy("the till: then the number of the receipt above")),
        ],
    )

    def __init__(self, *args: Any, refund: Refund, **options: Any) -> None:
        super().__init__(*args, **options)
        if refund.payment.provider != payback.PROVIDER:
            del self.fields["paid_from"]


class OrderField(_OrderChoice):
    """An open order, said with what it asks for and the reference that was given out for it."""

    def label_from_instance(self, obj: Order) -> str:
        """Return what the choice says."""
        money = obj.due
        day = f"{obj.created_at:%Y-%m-%d}"
        return f"{obj.code} · {sold_as(obj.plan_sold)} · {money} · {day}"


class AssignForm(forms.Form):
    """The order that money was meant for."""

    order = OrderField(Order.objects.none(), label=gettext_lazy("Order"), empty_label=None)

    def __init__(self, *args: Any, payment: Payment, now: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["order"]
        assert isinstance(field, OrderField)  # noqa: S101 -- declared above
        field.queryset = queries.orders_that_fit(payment, now)

    def nothing_fits(self) -> str:
        """Return in words that there is no choice; nothing where there is one."""
        found = cast("OrderField", self.fields["order"]).queryset
        if found is not None and found.exists():
            return ""
        return _("No open order asks for exactly this. Credit it to a balance, or send it back.")


def worklist(request: StaffRequest) -> HttpResponse:
    """Show what waits: orders that expect money, money without an order, refunds to pay."""
    work = queries.worklist(request.now)
    unallocated = [payment for payment in work.unallocated if payment.account_id is None]
    came = [refund.payment for refund in work.refunds]
    events = InboxEvent.objects.filter(payment__in=[*unallocated, *came])
    as_written = {event.payment_id: event.raw for event in events}
    context = {
        "work": work,
        "unallocated": [(payment, as_written.get(payment.pk)) for payment in unallocated],
        "refunds": [(refund, as_written.get(refund.payment_id)) for refund in work.refunds],
    }
    return render(request, "backoffice/bank.html", context)


def book(request: StaffRequest) -> HttpResponse:
    """Book a receipt; whatever is wrong with it, the money is never dropped."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        entered = receipts.enter(
            kind=typed["kind"] or HandReceipt.Kind.TRANSFER,
            reference=typed["reference"],
            transaction_id=typed["transaction_id"],
            money=typed["money"],
            payer_place=typed["payer_place"],
            note=typed["note"],
            file=form.evidence(),
            limit=settings.FERRIAGE.shop.receipt_limit,
            store_dir=site.evidence_dir(),
            now=request.now,
            actor=request.staff.actor,
        )
        if isinstance(entered, HandReceipt):
            return said(request, str(WAITS), "staff-statements")
        return said(request, told(entered), "staff-bank")

    typed = {
        key: request.GET[key] for key in ("reference", "amount", "currency") if key in request.GET
    }
    typed.setdefault("payer_place", settings.FERRIAGE.shop.bank_country)
    form = ReceiptForm(request.POST or None, request.FILES or None, initial=typed)
    return form_page(
        request,
        form,
        title=_("Book a receipt"),
        submit=_("Book"),
        back=reverse("staff-bank"),
        act=act,
        intro=_("Copy what the bank's statement or the receipt shows."),
    )


def refund_paid(request: StaffRequest, code: str) -> HttpResponse:
    """Note that a queued refund was paid out."""
    found = row(Refund, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.mark_refund_paid(
            refund=found,
            reference=typed["reference"],
            from_account=typed.get("paid_from", ""),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The refund is noted as paid."), "staff-bank")

    return form_page(
        request,
        PaidForm(request.POST or None, refund=found),
        title=_("Refund paid"),
        submit=_("Note as paid"),
        back=reverse("staff-bank"),
        act=act,
        intro=_("Pay it at your bank first, then note its number here.") + "\n" + _to_whom(found),
    )


def _to_whom(refund: Refund) -> str:
    """Return in a sentence how much is paid to whom; what no payment brought, as staff said."""
    text = (
        _("%(money)s, refund %(refund)s, from a customer's balance: %(note)s")
        if refund.payment.provider == payback.PROVIDER
        else _("%(money)s, refund %(refund)s, to whoever paid %(payment)s (%(number)s).")
    )
    return text % {
        "money": Money(refund.amount_minor, refund.currency),
        "refund": refund.code,
        "note": refund.note,
        "payment": refund.payment.code,
        "number": refund.payment.transaction_id or refund.payment.reference or "–",
    }


def refund_unallocated(request: StaffRequest, code: str) -> HttpResponse:
    """Queue the refund of money that belongs to no order, after asking once more."""
    found = row(Payment, code)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        waits = seconds.send_back(
            payment=found,
            limit=settings.FERRIAGE.shop.receipt_limit,
            now=request.now,
            actor=request.staff.actor,
        )
        if waits:
            return said(request, str(WAITS), "staff-payments")
        return said(request, _("The refund is queued."), _list_of(found))

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=_("Send money back"),
        submit=_("Queue the refund"),
        back=reverse(_list_of(found)),
        act=act,
        intro=_("%(money)s, %(payment)s, goes back to where it came from.")
        % {"money": suspense.rest(found), "payment": found.code},
    )


def assign(request: StaffRequest, code: str) -> HttpResponse:
    """Give money that came without a usable reference to the order it was meant for."""
    found = row(Payment, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.assign_unallocated(
            payment=found, order=typed["order"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The order is paid and fulfilled."), _list_of(found))

    said_of_it = InboxEvent.objects.filter(payment=found).values_list("raw", flat=True).first()
    text = str((said_of_it or {}).get("reference", ""))
    guess = suggesting.nearly(text, suggesting.awaited(request.now))
    initial = {"order": guess.order} if guess else {}
    form = AssignForm(request.POST or None, payment=found, now=request.now, initial=initial)
    return form_page(
        request,
        form,
        title=_("Assign money to an order"),
        submit=_("Assign"),
        back=reverse(_list_of(found)),
        act=act,
        intro=_("%(money)s came. Only open orders of exactly this amount are listed.")
        % {"money": _received(found)},
        template="backoffice/assign.html",
        payment=found,
    )


def _list_of(payment: Payment) -> str:
    """Return the page whose list a payment stands on."""
    return "staff-payments" if payment.account_id else "staff-bank"


def _received(payment: Payment) -> Money:
    return Money(payment.received_minor or 0, payment.currency)


def told(captured: Captured) -> str:
    """Return what became of money that came, in words."""
    why = REASONS.get(captured.reason, "") if captured.outcome != "duplicate" else ""
    return f"{OUTCOMES[captured.outcome]} ({why})" if why else str(OUTCOMES[captured.outcome])
