"""A refund's amount on a page and back again: what was shown is what the action is asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings

from ferriage.core.money import Money
from ferriage.orders import refunds
from ferriage.orders.actions import refunds as actions
from ferriage.orders.refunds import Rules

if TYPE_CHECKING:
    from django.http import QueryDict

    from ferriage.plans.models import Subscription

_MINUTE: Final = timedelta(minutes=1)


def refund_rules() -> Rules:
    """Return what this shop refunds on request."""
    shop = settings.FERRIAGE.shop
    return Rules(full_days=shop.refund_days, after=shop.refund_after, withdrawal=shop.withdrawal)


def shown(subscription: Subscription, now: datetime) -> dict[str, object]:
    """Return what a page shows of a quote, made for an instant so far ahead as a quote holds."""
    rules = refund_rules()
    at = now + actions.QUOTE_HOLDS
    decide = refunds.by_rules(subscription, rules, now=now)
    found = refunds.quote(subscription, at=at, decide=decide)
    return {
        "quote": found,
        "quoted": " ".join(f"{money.amount_minor}{money.currency}" for money in found.owed),
        "shares": " ".join(map(str, found.shares)),
        "at": at.isoformat(),
        "lost": refunds.lost_of(subscription, now=now),
        "rules": rules,
        "held_minutes": actions.QUOTE_HOLDS // _MINUTE if found.ends_at == at else 0,
    }


def shares_sent(form: QueryDict) -> list[int]:
    """Return the shares of terms that a page had shown; the action judges them.

    Raises:
        QuoteChanged: No page of ours showed that.
    """
    try:
        return [int(text) for text in form.get("shares", "").split()]
    except ValueError as error:
        raise actions.quote_changed() from error


def sent(form: QueryDict) -> tuple[datetime, list[Money]]:
    """Return the instant and the amounts that a page had shown; the action judges them.

    Raises:
        QuoteChanged: No page of ours showed that.
    """
    try:
        at = datetime.fromisoformat(form.get("at") or "")
        texts = (form.get("quoted") or "").split()
        money = [Money(int(text[:-3]), text[-3:]) for text in texts]
    except ValueError as error:
        raise actions.quote_changed() from error
    if at.tzinfo is None:
        raise actions.quote_changed()
    return at, money
