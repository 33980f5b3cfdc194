"""Beginning a payment: the row is committed first, then the provider is called, then noted.

    writing ── Payment(created) ── commit ── provider.start(code as key) ── writing ── pending

A crash between the two leaves a `created` payment. Starting again calls the provider with the
same code, so what it began already is what it answers.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.orders.models import Order
from ferriage.orders.places import contradicting
from ferriage.payments.models import Payment
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import NotByThisMeans
from ferriage.payments.schedule import next_ask

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.core.actors import Actor
    from ferriage.payments.models import ProviderAccount
    from ferriage.payments.providers.contract import Means, Provider, Started, Urls

BEGUN: Final = (Payment.State.CREATED, Payment.State.PENDING)


class NotPayable(FerriageError):
    """The order is not open, so nothing can be paid for it."""

    slug = "not-payable"


class MeansNotOffered(FerriageError):
    """The means presumes a place where the plan may not be sold; `verdict` says why."""

    slug = "means-not-offered"
    status = 409

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(
            _("This way to pay is used in a place where this plan may not be sold."),
            _("Pay by voucher, or show the shop two things that say where you are."),
        )
        self.verdict = verdict


def start(
    *, order: Order, slug: str, choice: str = "", urls: Urls, now: datetime, actor: Actor
) -> Payment:
    """Begin a payment by the means that a customer chose, or return the one that was begun.

    Not to be called in a transaction: the row is committed before the provider is called.

    Returns:
        The payment; `pay_url` is where the customer pays, empty where the order's page says how.

    Raises:
        NotFound: The shop does not use this provider.
        NotByThisMeans: The provider does not take this order.
        NotPayable: The order is paid, cancelled or expired.
        MeansNotOffered: The payer's presumable place stands against the order's.
        ProviderDown: Nobody answers; nothing is lost, and the same start continues.
    """
    provider, account = registry.chosen(slug)
    offered = [means for means in provider.offered(order, now) if means.choice == choice]
    if not offered or offered[0].on_page:
        raise NotByThisMeans(_("This order cannot be paid that way."), _("Choose another one."))
    return start_by(
        provider=provider,
        account=account,
        means=offered[0],
        order=order,
        urls=urls,
        now=now,
        actor=actor,
    )


def start_by(
    *,
    provider: Provider,
    account: ProviderAccount | None,
    means: Means,
    order: Order,
    urls: Urls,
    now: datetime,
    actor: Actor,
) -> Payment:
    """Begin a payment with a provider that is at hand. As `start`."""
    payment = _intend(account=account, means=means, order=order, now=now, actor=actor)
    if payment.state == Payment.State.PENDING:
        return payment
    assert payment.order is not None  # noqa: S101 -- made with one
    started = provider.start(payment, payment.order, urls, now)
    return _note(payment, started)


def _intend(
    *, account: ProviderAccount | None, means: Means, order: Order, now: datetime, actor: Actor
) -> Payment:
    """Commit the row that says what is about to be asked of the provider."""
    with writing():
        order = Order.objects.select_related("plan__service").get(pk=order.pk)
        if order.state != Order.State.OPEN or order.expires_at <= now:
            raise NotPayable(
                _("This order is not open any more."), _("Place a new one; nothing was charged.")
            )
        if contrary := contradicting(order, payer_place=means.payer_place, now=now):
            raise MeansNotOffered(contrary.verdict)
        if begun := _begun(order, account, means, now):
            return begun
        payment = Payment.objects.create(
            order=order,
            provider=means.slug,
            account=account,
            choice=means.choice,
            amount_minor=order.due_minor,
            currency=order.currency,
            created_at=now,
            ask_at=next_ask(0, now) if account else None,
        )
        audit.record(
            now=now,
            actor=actor,
            action="payment.started",
            subject=payment.code,
            order=order.code,
            provider=means.slug,
        )
    return payment


def _begun(
    order: Order, account: ProviderAccount | None, means: Means, now: datetime
) -> Payment | None:
    """Return what was begun already and asks for what is due now.

    A page of a provider's asks for what was due when it was made; a transfer can be told anew.
    """
    begun = Payment.objects.filter(
        order=order, provider=means.slug, account=account, choice=means.choice, state__in=BEGUN
    )
    usable = begun.exclude(pay_until__lte=now)
    if account is not None:
        usable = usable.filter(amount_minor=order.due_minor)
    found = usable.select_related("account", "order__plan__service").order_by("-pk").first()
    if found is not None and found.amount_minor != order.due_minor:
        found.amount_minor = order.due_minor
        found.save(update_fields=["amount_minor"])
    return found


def _note(payment: Payment, started: Started) -> Payment:
    """Note what the provider began; a callback that was faster keeps the state that it made."""
    with writing():
        created = Payment.objects.filter(pk=payment.pk, state=Payment.State.CREATED)
        created.update(state=Payment.State.PENDING, reference=started.reference)
        Payment.objects.filter(pk=payment.pk).update(
            provider_ref=started.provider_ref,
            pay_url=started.url,
            pay_until=started.expires_at,
        )
        return Payment.objects.select_related("account", "order__plan__service").get(pk=payment.pk)
