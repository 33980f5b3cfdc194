"""Coupons: made and ended by staff, taken by an order when it is placed, given back if it lapses.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.money import is_currency
from ferriage.orders.coupons import WHOLE_BPS, coupon_by_word, key_of
from ferriage.orders.models import Coupon, Order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.core.money import Money
    from ferriage.plans.models import Plan, Price

LIVING = ~Q(state__in=[Order.State.EXPIRED, Order.State.CANCELLED])
"""Orders that have what they took; the others gave it back."""


class CouponWrong(FerriageError):
    """A coupon that cannot be made."""

    slug = "coupon-wrong"
    status = 422


class CouponNotUsable(FerriageError):
    """The coupon does not apply to this order; the message says why."""

    slug = "coupon-not-usable"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a coupon takes off, and where. One of `off_bps` and `off` is set.

    Empty `plans` and `terms` are no limit, None neither.
    """

    off_bps: int | None = None
    off: Money | None = None
    plans: Sequence[Plan] = ()
    terms: Sequence[int] = ()
    currency: str = ""
    first_only: bool = False
    most_uses: int | None = None
    most_per_account: int | None = 1
    valid_from: datetime
    valid_to: datetime | None = None


def make_coupon(*, word: str, grant: Grant, note: str, now: datetime, actor: Actor) -> Coupon:
    """Make a coupon; what it grants cannot be changed afterwards, only ended.

    Raises:
        CouponWrong: The word is too short, taken or no word; or the grant makes no sense.
    """
    key = key_of(word)
    _check(key, grant)
    try:
        with writing(), transaction.atomic():
            coupon = Coupon.objects.create(
                word=word.strip().upper(),
                key=key,
                note=note.strip(),
                off_bps=grant.off_bps,
                off_minor=grant.off.amount_minor if grant.off else None,
                currency=grant.off.currency if grant.off else grant.currency,
                terms=sorted(set(grant.terms)),
                first_only=grant.first_only,
                most_uses=grant.most_uses,
                most_per_account=grant.most_per_account,
                valid_from=grant.valid_from,
                valid_to=grant.valid_to,
                created_at=now,
            )
            coupon.plans.set(grant.plans)
            audit.record(now=now, actor=actor, action="coupon.made", subject=coupon.code, word=key)
    except IntegrityError as error:
        raise CouponWrong(
            _("There is a coupon with this word already."), _("Choose another word.")
        ) from error
    return coupon


def end_coupon(*, coupon: Coupon, now: datetime, actor: Actor) -> Coupon:
    """Let a coupon be used no more; orders that have it keep what it took off.

    Raises:
        StaleState: It was ended before.
    """
    with writing():
        if Coupon.objects.filter(pk=coupon.pk, ended_at=None).update(ended_at=now) != 1:
            raise StaleState(_("This coupon was ended before."), _("Look again."))
        audit.record(now=now, actor=actor, action="coupon.ended", subject=coupon.code)
    coupon.ended_at = now
    return coupon


def take(*, word: str, account: Account, price: Price, now: datetime) -> Coupon:
    """Use a coupon for an order of a price that is placed in the caller's transaction.

    Raises:
        CouponNotUsable: There is none, or it does not apply; nothing was used.
    """
    coupon = coupon_by_word(word)
    if coupon is None:
        raise CouponNotUsable(
            _("There is no coupon with this word."), _("Correct it, or leave the field empty.")
        )
    if why := _why_not(coupon, account, price, now):
        raise CouponNotUsable(why, _("Leave the field empty, or choose what it is for."))
    # By compare-and-set besides the lock: the limit holds whoever writes, and a constraint too.
    room = Q(most_uses__isnull=True) | Q(uses__lt=F("most_uses"))
    if Coupon.objects.filter(room, pk=coupon.pk).update(uses=F("uses") + 1) != 1:
        raise CouponNotUsable(
            _("This coupon was used as often as it may be."), _("Leave the field empty.")
        )
    return coupon


def give_back(*, order: Order) -> None:
    """Let an order's coupon be used once more by somebody: the order is not going to be paid."""
    if order.coupon_id is not None:
        Coupon.objects.filter(pk=order.coupon_id, uses__gt=0).update(uses=F("uses") - 1)


def _why_not(coupon: Coupon, account: Account, price: Price, now: datetime) -> object:
    """Return why a coupon does not apply, in words; nothing where it does."""
    mine = Order.objects.filter(account=account)
    held = mine.filter(LIVING, coupon=coupon).count()
    # Money that was only put on the balance has bought nothing yet.
    bought = mine.filter(fulfilled_at__isnull=False).exclude(kind=Order.Kind.TOPUP)
    plans = set(coupon.plans.values_list("pk", flat=True))
    # A first purchase is one however many orders wait with the coupon.
    most = 1 if coupon.first_only else coupon.most_per_account
    reasons = (
        (coupon.ended_at is not None, _("This coupon was ended.")),
        (now < coupon.valid_from, _("This coupon is not valid yet.")),
        (coupon.valid_to is not None and now >= coupon.valid_to, _("This coupon has run out.")),
        (
            bool(coupon.currency) and coupon.currency != price.currency,
            _("This coupon is for prices in another currency."),
        ),
        (bool(plans) and price.plan_id not in plans, _("This coupon is for another plan.")),
        (
            bool(coupon.terms) and price.term_months not in coupon.terms,
            _("This coupon is for another term."),
        ),
        (
            coupon.first_only and bought.exists(),
            _("This coupon is for a first purchase."),
        ),
        (
            most is not None and held >= most,
            _("You used this coupon as often as you may, open orders included."),
        ),
    )
    return next((text for applies, text in reasons if applies), "")


def _check(key: str, grant: Grant) -> None:
    if not key:
        raise CouponWrong(
            _("The word of a coupon has 3 to 24 letters and digits."), _("Nothing was made.")
        )
    by_share = grant.off_bps is not None and 0 < grant.off_bps <= WHOLE_BPS and grant.off is None
    by_amount = grant.off_bps is None and grant.off is not None and grant.off.amount_minor > 0
    if not (by_share or by_amount):
        raise CouponWrong(
            _("A coupon takes off either more than 0 up to 100 per cent, or an amount above 0."),
            _("Nothing was made."),
        )
    if grant.currency and not is_currency(grant.currency):
        raise CouponWrong(_("No currency has this code."), _("Nothing was made."))
    if grant.valid_to is not None and grant.valid_to <= grant.valid_from:
        raise CouponWrong(_("A coupon runs out after it begins."), _("Nothing was made."))
    limits = (grant.most_uses, grant.most_per_account)
    if any(most is not None and most < 1 for most in limits):
        raise CouponWrong(_("A limit is at least one use."), _("Nothing was made."))
