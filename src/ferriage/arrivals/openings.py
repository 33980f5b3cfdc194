"""A balance that a customer brings along and that no file says: typed by staff, once.

The customer is named as the importers name them, by the other shop and the number there, and kept
as the same keyed hash. So nobody gets a balance by hand and by an import.

Source: docs/decisions/0064-claims-on-money.md, docs/decisions/0074-openings-read-alike.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from ferriage.arrivals.actions import OPENING
from ferriage.arrivals.models import Arrival
from ferriage.arrivals.queries import code_of_opening, plain_number, reference_hash, standing
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.orders.balance import credit, spend
from ferriage.orders.balancemodels import OPENED, UNOPENED
from ferriage.orders.lots import free_of
from ferriage.orders.models import BalanceMove

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.core.money import Money

LONGEST: Final = 40
"""Characters of a shop's name and of a number there; and of a reason `LONGEST_REASON`."""
LONGEST_REASON: Final = 200
_MAIL: Final = re.compile(r".@.")
"""A mail address as far as it matters; a name in a messenger that begins with `@` is none."""


class OpeningWrong(FerriageError):
    """An opening balance without a shop, a number, a reason or an amount."""

    slug = "opening-wrong"
    status = 422


class CameBefore(FerriageError):
    """What this customer of another shop held came over before."""

    slug = "came-before"


class OpeningSpent(FerriageError):
    """An opening balance of which not all is there any more."""

    slug = "opening-spent"


def named(*, source: str, number: str, money: Money, reason: str) -> str:
    """Return the code under which the books will know an opening balance: the same each time.

    Raises:
        OpeningWrong: Something of it is missing or too long, or names a mail address.
        CameBefore: It came over by hand or with an import.
    """
    source, number, reason = source.strip(), number.strip(), reason.strip()
    whole = 0 < len(source) <= LONGEST and 0 < len(number) <= LONGEST and plain_number(number)
    if not whole or not 0 < len(reason) <= LONGEST_REASON or money.amount_minor <= 0:
        raise OpeningWrong(
            _("An opening balance needs a shop, a number there, an amount and a reason."),
            _("Nothing was booked."),
        )
    if _MAIL.search(plain_number(number)):
        raise OpeningWrong(
            _("That number is a mail address, and the shop keeps none, not even as a hash."),
            _("Type the customer's number in the other shop. Nothing was booked."),
        )
    code = code_of_opening(reference_hash(source, number))
    _check_new(code)
    return code


def bring(
    *, account: Account, money: Money, code: str, reason: str, now: datetime, actor: Actor
) -> BalanceMove:
    """Owe a customer what they held in another shop, against `equity:opening`; once.

    Args:
        code: As `named` returns it.

    Raises:
        CameBefore: It came over by hand or with an import.
    """
    with writing():
        _check_new(code)
        move = credit(
            account=account,
            money=money,
            source_code=code,
            kind=OPENED,
            against=OPENING,
            now=now,
            sequence=BalanceMove.objects.filter(source_code=code, kind=OPENED).count(),
        )
        audit.record(
            now=now,
            actor=actor,
            action="balance.opened",
            subject=code,
            amount=str(money),
            reason=reason,
        )
    return move


def brought(account: Account, currency: str) -> int:
    """Return what staff credited to an account as opening balances, in minor units."""
    typed = BalanceMove.objects.filter(
        balance__account=account, balance__currency=currency, source_code__startswith="opn_"
    )
    return int(typed.aggregate(minor=Sum("amount_minor"))["minor"] or 0)


def check_unspent(move: BalanceMove, reason: str) -> Money:
    """Return what a typed opening balance brought, where all of it can be taken back.

    Raises:
        OpeningWrong: There is no reason, or one that is too long.
        OpeningSpent: A part of it was spent, or is kept for an open order.
        StaleState: It was taken back before.
    """
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise OpeningWrong(_("Say why it is taken back."), _("Nothing was booked."))
    if not standing([move.source_code]):
        raise StaleState(_("This was taken back before."), _("Look again."))
    account, currency = move.balance.account, move.balance.currency
    if free_of(account, currency, move.source_code) < move.amount_minor:
        raise OpeningSpent(
            _("A part of this opening balance was spent, or is kept for an open order."),
            _("It stays. Cancel open orders that use it, or settle it with the customer."),
        )
    return move.money


def take_back(*, move: BalanceMove, reason: str, now: datetime, actor: Actor) -> BalanceMove:
    """Take back all of an opening balance that staff typed by mistake, while nothing is spent.

    Afterwards the same number may be typed again, and come with an import.

    Args:
        move: What `arrivals.queries.opening_of` returns.

    Raises:
        OpeningWrong, OpeningSpent, StaleState: As `check_unspent`.
    """
    code = move.source_code
    with writing():
        money = check_unspent(move, reason)
        taken = spend(
            account=move.balance.account,
            money=money,
            source_code=code,
            kind=UNOPENED,
            against=OPENING,
            now=now,
            sequence=move.sequence,
        )
        audit.record(
            now=now,
            actor=actor,
            action="balance.opening-undone",
            subject=code,
            amount=str(money),
            reason=reason.strip(),
        )
    return taken


def _check_new(code: str) -> None:
    start = code.removeprefix("opn_")
    if standing([code]) or Arrival.objects.filter(customer_hash__startswith=start).exists():
        raise CameBefore(
            _("This customer of the other shop came over before, with all that they held there."),
            _("Look at the name of the shop and the number; nothing was booked."),
        )
