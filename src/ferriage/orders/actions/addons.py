"""Ordering what may be bought on top of a term.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.orders import addons
from ferriage.orders.actions import onsale, sales, targets
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.plans.models import AddOnPrice


class AddOnWrong(FerriageError):
    """An add-on to a term that is over or not the account's, or of another plan."""

    slug = "addon-wrong"


def place_addon(
    *,
    account: Account,
    term: Order,
    price: AddOnPrice,
    place: str,
    now: datetime,
    expires_at: datetime,
    actor: Actor,
) -> Order:
    """Order an add-on for the rest of a term that runs, or for all of one bought ahead.

    It costs its price for each month of that, counted from now; it begins when it is paid. A
    quota pack costs its price, and is for the month of the quota in which it is paid. Nobody can
    pay it any more when the term is over.

    Args:
        term: The order of the term that it goes with.

    Raises:
        NotForSale: The account belongs to a closed service.
        PriceGone: Another price holds now.
        AddOnWrong: The term is over, another account's, or of another plan, or has no quota.
        HeldByDispute: The payment of its subscription is disputed.
        NotOnSale, TermOutlivesApproval: The plan may not be sold to this customer now.
    """
    if account.account_class != "public":
        raise sales.NotForSale(_("This account belongs to a closed service, which sells nothing."))
    if price not in addons.prices(price.plan, now=now):
        raise sales.price_gone()
    with writing():
        fresh = Order.objects.select_related("subscription__plan", "plan").get(pk=term.pk)
        joins = fresh.subscription is not None and fresh.subscription.account_id == account.pk
        if not joins or fresh.plan_id != price.plan_id or not _is_left(fresh, now):
            raise AddOnWrong(
                _("This cannot be added to that term."), _("Choose a term that still runs.")
            )
        assert fresh.subscription is not None  # noqa: S101 -- it joins it
        targets.refuse_held(fresh.subscription)
        is_pack = price.kind == price.Kind.QUOTA_PACK
        if is_pack and not addons.takes_packs(fresh, now=now):
            raise AddOnWrong(
                _("There is no month of a quota that this could be added to."),
                _("Choose the term that runs now."),
            )
        stretch = addons.pack_stretch if is_pack else addons.stretch
        starts_at, ends_at = stretch(fresh, now=now)
        chosen = onsale.check_on_sale(price.plan, place, ends_at, now)
        mine = {"account": account, "with_term": fresh, "addon_price": price, "place": place}
        same = Order.objects.filter(**mine, state=Order.State.OPEN, expires_at__gt=now).first()
        if same:
            return same
        minor = addons.cost_minor(price, starts_at, ends_at)
        order = Order.objects.create(
            **mine,
            kind=Order.Kind.ADDON,
            extends=fresh.subscription,
            plan=price.plan,
            term_months=0,
            quota_bytes=price.quota_bytes,
            list_minor=minor,
            amount_minor=minor,
            currency=price.currency,
            created_at=now,
            expires_at=min(expires_at, addons.stretch(fresh, now=now)[1]),
        )
        sales.note_placed(order, chosen, now=now, actor=actor)
    return order


def _is_left(term: Order, now: datetime) -> bool:
    joinable = term.kind in {Order.Kind.TERM, Order.Kind.CHANGE}
    if not joinable or term.state != Order.State.FULFILLED or term.cut_at is not None:
        return False
    return addons.stretch(term, now=now)[1] > now
