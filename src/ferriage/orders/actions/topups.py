"""Top-ups: money in advance, which the account spends on orders later.

Nothing is sold by one. But a shop that may sell nothing to somebody takes no money from them in
advance either, so the register is asked for each plan, when it is ordered and when it is paid.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions import write_decision
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.fleet.queries import line_facts
from ferriage.orders import balance
from ferriage.orders.actions.outcomes import (
    RefusalReason,
    Refused,
    Settled,
    change,
    state_refuses,
)
from ferriage.orders.actions.places import keep
from ferriage.orders.balancemodels import TOPUP
from ferriage.orders.models import Order
from ferriage.orders.places import Kind, is_shown
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.approvals.facts import Verdict
    from ferriage.core.actors import Actor
    from ferriage.core.money import Money
    from ferriage.plans.queries import OfferView

_UNALLOCATED: Final = "liabilities:unallocated"


class NoTopUp(FerriageError):
    """Nothing may be sold in the place, so no money is taken for it; `verdict` says why."""

    slug = "no-top-up"
    status = 451

    def __init__(self, verdict: Verdict | None) -> None:
        super().__init__(
            _("We may not sell anything in the place you chose, so we take no money for it."),
            _("The line's page says what is missing."),
        )
        self.verdict = verdict


class TopUpWrong(FerriageError):
    """An amount that cannot be put on a balance, or an account that has none."""

    slug = "top-up-wrong"
    status = 422


def place_topup(
    *,
    account: Account,
    money: Money,
    place: str,
    now: datetime,
    expires_at: datetime,
    actor: Actor,
) -> Order:
    """Place an order that puts an amount on the balance, or return the same that is still open.

    Args:
        place: Where the customer says to be.

    Raises:
        TopUpWrong: The amount is not above zero, or the account belongs to a closed service.
        NoTopUp: No plan may be sold there now.
    """
    if money.amount_minor <= 0 or account.account_class != "public":
        raise TopUpWrong(
            _("This amount cannot be put on a balance."), _("Choose one of those that are offered.")
        )
    with writing():
        chosen = _judged(place, now)
        if chosen is None or chosen.state != "on_sale":
            raise NoTopUp(chosen.verdict if chosen else None)
        values = {
            "account": account,
            "kind": Order.Kind.TOPUP,
            "amount_minor": money.amount_minor,
            "currency": money.currency,
            "place": place,
            "state": Order.State.OPEN,
        }
        same = Order.objects.filter(**values, expires_at__gt=now).first()
        if same:
            return same
        order = Order.objects.create(
            **values,
            term_months=0,
            list_minor=money.amount_minor,
            created_at=now,
            expires_at=expires_at,
        )
        keep(order=order, kind=Kind.SELF_DECLARED, place=place, now=now, actor=actor)
        _decide(order, chosen, place, now)
        audit.record(
            now=now,
            actor=actor,
            action="order.placed",
            subject=order.code,
            amount=str(money),
            place=place,
        )
    return order


def settle(*, order: Order, payer_place: str, now: datetime, actor: Actor) -> Settled | Refused:
    """Put what came for a top-up on the balance; called by `sales.settle` in its transaction."""
    reason = state_refuses(order)
    if reason or order.expires_at <= now or order.account is None:
        return Refused(reason or "order-expired")
    if payer_place:
        keep(order=order, kind=Kind.PAYMENT_COUNTRY, place=payer_place, now=now, actor=actor)
    if refused := _refused(order, payer_place, now):
        return refused
    change(order, Order.State.OPEN, state=Order.State.PAID, paid_at=now)
    balance.credit(
        account=order.account,
        money=order.due,
        source_code=order.code,
        kind=TOPUP,
        against=_UNALLOCATED,
        now=now,
    )
    change(
        order,
        Order.State.PAID,
        state=Order.State.FULFILLED,
        fulfilled_at=now,
        refundable_minor=order.amount_minor,
    )
    audit.record(now=now, actor=actor, action="order.settled", subject=order.code)
    return Settled(order, None)


def _refused(order: Order, payer_place: str, now: datetime) -> Refused | None:
    """Return the refusal by the register, of the customer's place or of the payment's."""
    here = _judged(order.place, now)
    if here is None or here.state != "on_sale":
        return _denied(order, "not-authorised", here, order.place, now)
    if not payer_place or payer_place[:2] == order.place[:2] or is_shown(order):
        return None
    there = _judged(payer_place, now)
    if there is not None and there.verdict.allowed:
        return None
    return _denied(order, "place-contradicted", there, payer_place, now)


def _denied(
    order: Order, reason: RefusalReason, chosen: OfferView | None, place: str, now: datetime
) -> Refused:
    """Return a refusal; what the register denied stays on record as a Decision."""
    if chosen is not None and not chosen.verdict.allowed:
        _decide(order, chosen, place, now)
    return Refused(reason, chosen.verdict if chosen else None)


def _judged(place: str, now: datetime) -> OfferView | None:
    """Return the offer in a place that lasts longest, else the first that is not on sale."""
    judged = plans.offers(now=now, place=place)
    return plans.longest_on_sale(judged) or next(iter(judged), None)


def _decide(order: Order, chosen: OfferView, place: str, now: datetime) -> None:
    write_decision(
        subject=order.code,
        line=line_facts(chosen.line),
        verdict=chosen.verdict,
        customer_place=place,
        register=chosen.register,
        now=now,
    )
