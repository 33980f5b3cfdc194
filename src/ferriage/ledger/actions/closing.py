"""Closing a month: its shares are settled, its balances go into the chain, and it stays shut.

`payments.closing.close_month` is what pages and commands call: it lets the rooms above finish
their work in the month first.

Source: docs/explanation/books.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.ledger import queries
from ferriage.ledger.actions.chaining import append_closing
from ferriage.ledger.actions.shares import settle
from ferriage.ledger.models import Closing
from ferriage.ledger.months import ends_at, last_instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from ferriage.core.actors import Actor
    from ferriage.ledger.queries import Finding


class MonthNotClosable(FerriageError):
    """The month is not over, closed already, or another one comes first."""

    slug = "month-not-closable"


class BooksWrong(FerriageError):
    """The books break a rule of their own; they are not closed like this."""

    slug = "books-wrong"


def close(
    *, month: date, check: Callable[[], list[Finding]], now: datetime, actor: Actor
) -> Closing:
    """Settle what the services earned in a month, and close it.

    Args:
        month: Its first day.
        check: Says what is wrong with the books, as the highest room that posts sees them.

    Raises:
        MonthNotClosable: It is not over, closed already, or not the next one.
        BooksWrong: An account is negative that may not be, or sums do not agree.
    """
    with writing():
        refuse_unless_next(month, now)
        settle(month=month, now=now, actor=actor)
        if findings := check():
            first = findings[0]
            raise BooksWrong(
                _("The books are not right: %(finding)s.")
                % {"finding": f"{first.account} {first.message}"},
                _("`ferriage ledger check` lists all that is wrong; nothing was closed."),
            )
        held = queries.trial_balance(at=last_instant(month))
        closing = Closing.objects.create(
            month=month,
            until=ends_at(month),
            balances=sorted(
                [row.name, row.currency, row.balance_minor] for row in held if row.balance_minor
            ),
            closed_at=now,
            closed_by=str(actor),
        )
        link = append_closing(closing)
        audit.record(
            now=now,
            actor=actor,
            action="month.closed",
            subject=closing.code,
            month=str(closing),
            head=link.hash,
        )
    return closing


def refuse_unless_next(month: date, now: datetime) -> None:
    """Refuse to close any month but the first one that is over and open.

    Raises:
        MonthNotClosable: It is another one.
    """
    if ends_at(month) > now:
        raise MonthNotClosable(
            _("%(month)s is not over.") % {"month": f"{month:%Y-%m}"},
            _("Months end at midnight, UTC; close it after."),
        )
    last = Closing.objects.order_by("-month").first()
    if last is not None and month <= last.month:
        raise MonthNotClosable(_("%(month)s is closed already.") % {"month": f"{month:%Y-%m}"})
    following = queries.next_to_close()
    if following is None:
        raise MonthNotClosable(_("Nothing is posted yet: there is no month to close."))
    if month < following:
        raise MonthNotClosable(
            _("The books begin in %(month)s.") % {"month": f"{following:%Y-%m}"},
            _("Months before that hold nothing to close."),
        )
    if month != following:
        raise MonthNotClosable(
            _("%(month)s is to be closed first.") % {"month": f"{following:%Y-%m}"}
        )
