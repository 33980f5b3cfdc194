"""The chain of Decisions: what the register answered, so that nobody can deny it later."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Subquery
from django.utils.translation import gettext_lazy as _

from ferriage.approvals.models import Decision
from ferriage.approvals.queries import (
    decision_content,
    guarding,
    guarding_decision,
    inputs_digest,
    register_of,
)
from ferriage.core import chain, timesync
from ferriage.core.compiled import Compiled, insert
from ferriage.core.db import joining
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.approvals.facts import LineFacts, Reason, Verdict
    from ferriage.approvals.queries import Register

CLOCK_TOLERANCE: Final = timedelta(seconds=300)


def _with_guard() -> QuerySet[Decision, tuple[int, str, datetime | None]]:
    newest = Decision.objects.order_by("-sequence").annotate(
        guard=Subquery(guarding().values("at"))
    )
    return newest.values_list("sequence", "hash", "guard")[:1]


_HEAD: Final = Compiled(0, _with_guard)


class ClockBehind(FerriageError):
    """The site's clock stands before the newest Decision; nothing may be opened or sold."""

    slug = "clock-behind"
    status = 503


class ClockUnsynchronised(ClockBehind):
    """The host's time daemon has not set the clock yet; nothing may be opened or sold before."""

    slug = "clock-unsynchronised"


def check_clock(*, now: datetime) -> None:
    """Refuse to go on while the clock is more than 300 s behind the newest Decision.

    Decisions that a clock repair names as wrong are not asked.

    Raises:
        ClockBehind: It is.
        ClockUnsynchronised: The host waits for its time daemon to set the clock.
    """
    latest = guarding_decision()
    _refuse_behind(latest.at if latest else None, now)
    check_synchronised()


def _refuse_behind(guard: datetime | None, now: datetime) -> None:
    if guard is not None and now < guard - CLOCK_TOLERANCE:
        raise ClockBehind(
            _("The clock of this site is behind its own records, so nothing is opened or sold."),
            _(
                "Set the clock right. If it is right and ran ahead before, propose a clock repair; "
                "what is open runs to its own end."
            ),
        )


def check_synchronised() -> None:
    """Refuse to go on while this host waits for its time daemon to set the clock.

    Raises:
        ClockUnsynchronised: It does.
    """
    if timesync.WATCH.waiting():
        raise ClockUnsynchronised(
            _("This host has not set its clock yet, so nothing is opened or sold."),
            _("Wait for its time daemon, or see why it reaches no time server."),
        )


def write_decision(
    *,
    subject: str,
    line: LineFacts,
    verdict: Verdict,
    customer_place: str | None = None,
    register: Register | None = None,
    now: datetime,
) -> Decision:
    """Append a verdict to the chain, inside the caller's transaction.

    The chain is its own record of what was done, so no audit entry is written.

    Args:
        subject: Code of what was judged: a line (permit), an order, a device.
        line: As it was judged, like `customer_place`.
        register: What was read to judge it, in this transaction; it is read again without.
        now: The instant that the verdict is for.

    Raises:
        ClockBehind: `now` is more than 300 s before the newest Decision.
    """
    with joining():
        head = _HEAD.first()
        _refuse_behind(head[2] if head else None, now)
        check_synchronised()
        register = register or register_of(line)
        return append(
            Decision(
                at=now,
                subject=subject,
                line_code=line.code,
                inputs_digest=inputs_digest(register.facts(line, customer_place)),
                packs=register.packs.versions,
                allowed=verdict.allowed,
                reasons=[_as_json(reason) for reason in verdict.reasons],
                valid_until=verdict.valid_until,
            ),
            after=head,
        )


def append(decision: Decision, *, after: tuple[Any, ...] | None = None) -> Decision:
    """Give a Decision its place in the chain and save it, inside the caller's transaction.

    Args:
        after: Number and hash of the last one, where they were read in this transaction.
    """
    last, decision.previous_hash, *_guard = after or _HEAD.first() or (0, chain.GENESIS)
    decision.sequence = last + 1
    decision.hash = chain.link(decision.previous_hash, decision_content(decision))
    insert(decision)
    return decision


def _as_json(reason: Reason) -> dict[str, object]:
    return {**asdict(reason), "params": dict(reason.params)}
