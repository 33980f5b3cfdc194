"""Ending a subscription because its customer asks: for the amount quoted, or by withdrawal.

Source: docs/explanation/refunds.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.orders import refunds
from ferriage.orders.actions import freezing
from ferriage.orders.actions.service import end_with
from ferriage.orders.earning import gone_back_of
from ferriage.orders.models import Order, Withdrawal
from ferriage.orders.owedmodels import OwedTo
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.core.money import Money
    from ferriage.orders.refunds import Part, Quote, Rules
    from ferriage.plans.models import Subscription

QUOTE_HOLDS: Final = timedelta(minutes=15)
"""So far ahead a quote's instant may lie, so that a page keeps its word meanwhile."""


class QuoteChanged(FerriageError):
    """The amount is not what was shown: too much time passed, or something was booked."""

    slug = "quote-changed"


class NothingToRefund(FerriageError):
    """Ending it would owe nothing, so it is not ended by this."""

    slug = "nothing-to-refund"


class WithdrawalOver(FerriageError):
    """No order is within the time in which its customer may withdraw."""

    slug = "withdrawal-over"


def refund_on_request(
    *,
    subscription: Subscription,
    at: datetime,
    quoted: Sequence[Money],
    shares: Sequence[int] = (),
    rules: Rules,
    now: datetime,
    actor: Actor,
) -> Quote:
    """End a subscription for exactly the amount that was shown.

    Args:
        at: The instant that the quote was made for, not before now.
        quoted: What was shown, by currency.
        shares: Which shares of terms were shown of codes that were resold.

    Raises:
        QuoteChanged: It would be another amount now; nothing was ended.
        NothingToRefund: The rules refund nothing.
        NothingToEnd: It is over.
    """
    if not now <= at <= now + QUOTE_HOLDS:
        raise quote_changed()
    with writing():
        plans.refuse_over(subscription, now=now)
        found = refunds.quote(
            subscription, at=at, decide=refunds.by_rules(subscription, rules, now=now)
        )
        if not (found.owed or found.shares):
            raise NothingToRefund(
                _("By the rules of this shop nothing is refunded now."),
                _("The time goes on to its end."),
            )
        if (tuple(quoted), tuple(shares)) != (found.owed, found.shares):
            raise quote_changed()
        _end(subscription, found, "Refund asked for", now, actor)
    return found


def withdraw(
    *, subscription: Subscription, rules: Rules, now: datetime, actor: Actor
) -> Withdrawal:
    """Take a customer's withdrawal: the orders it is about end now, and it is put on record.

    A declaration counts as it comes, so no amount needs to be shown first.

    Raises:
        WithdrawalOver: The time is over for every order, or the shop offers it elsewhere only.
    """
    with writing():
        # Days may stand still of which the worker knows nothing yet; a declaration cannot wait.
        freezing.notice(subscription=subscription, now=now, actor=actor)
        decide = refunds.by_law(rules, now=now)
        found = refunds.quote(subscription, at=now, decide=decide)
        if not found.parts:
            raise WithdrawalOver(
                _("There is no order left from which you can withdraw."),
                _("The page of your subscription says what a refund comes to."),
            )
        withdrawal = Withdrawal.objects.create(
            subscription=subscription,
            declared_at=now,
            ends_at=found.ends_at,
            lines=[
                {
                    # The order of a gift is whoever gave it knows.
                    "order": "" if part.order.recipient_id else part.order.code,
                    "ordered_at": part.order.created_at.isoformat(),
                    "service": part.order.plan_sold.service.name,
                    "plan": part.order.plan_sold.name,
                    "term_months": part.order.term_months,
                    "kind": part.order.kind,
                    "currency": part.order.currency,
                    "amount_minor": part.order.amount_minor,
                    # What a reseller pays for a code is theirs to know.
                    "paid_minor": 0 if _is_resold(part) else part.order.refundable_minor,
                    "owed_minor": 0 if _is_resold(part) else part.owed_minor,
                    "unused_bps": part.unused_bps,
                    "to_balance_minor": part.to_balance_minor,
                    "owed_to": part.goes_to,
                }
                for part in found.parts
            ],
        )
        _end(subscription, found, "Withdrawal from the contract", now, actor)
        audit.record(
            now=now,
            actor=actor,
            action="contract.withdrawn",
            subject=withdrawal.code,
            orders=[part.order.code for part in found.parts],
            owed=[str(money) for money in found.owed],
        )
    return withdrawal


def _end(
    subscription: Subscription, found: Quote, reason: str, now: datetime, actor: Actor
) -> None:
    """End it and see that exactly the quote was booked, or roll back."""
    end_with(
        subscription=subscription,
        at=found.ends_at,
        reason=reason,
        outcome="refunded",
        whole=found.whole,
        by_data=True,
        now=now,
        actor=actor,
    )
    pks = [part.order.pk for part in found.parts]
    booked = {order.pk: _decided(order) for order in Order.objects.filter(pk__in=pks)}
    for part in found.parts:
        if booked[part.order.pk] != _decided(part.order) + part.owed_minor:
            raise quote_changed()


def _is_resold(part: Part) -> bool:
    return part.goes_to == OwedTo.RESELLER


def _decided(order: Order) -> int:
    """Return what of an order is not to be owed any more; what was a loss may go out of it."""
    return gone_back_of(order) + order.lost_minor


def quote_changed() -> QuoteChanged:
    """Return the refusal of an amount that was not, or is no more, the one to book."""
    return QuoteChanged(
        _("The amount is not the one that you saw."), _("Nothing was ended. Look at the new one.")
    )
