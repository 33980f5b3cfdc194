from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ferriage.approvals import actions as approvals
from ferriage.approvals import reasons
from ferriage.approvals.facts import CUSTOMER_CLASSES, USES
from ferriage.approvals.packfile import is_place
from ferriage.approvals.site import packs_in_force
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.fleet.actions.permits import refresh_permits
from ferriage.fleet.models import Line, Pool
from ferriage.fleet.queries import judge_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.models import Party
    from ferriage.core.actors import Actor

State = Line.State
_TO_CONCLUDE: Final = frozenset({"unknown", "determination-overdue"})
"""Reasons that a determination answers, not an approval."""


class LineWrong(FerriageError):
    """A place, class or use that no line can have."""

    slug = "line-wrong"
    status = 422


class LineState(FerriageError):
    """The line is not in a state from which this can be done."""

    slug = "line-state"


class LineRefused(FerriageError):
    """The register does not allow the line to be opened; `verdict` says why."""

    slug = "line-refused"

    def __init__(self, message: object, remedy: object, verdict: Verdict) -> None:
        super().__init__(message, remedy)
        self.verdict = verdict


def create_line(  # noqa: PLR0913 -- a line is what its places, class and use make it
    *,
    name: str,
    party: Party,
    enter_place: str,
    exit_place: str,
    sell_places: Sequence[str],
    customer_class: str,
    use: str,
    lessor: str = "",
    lease_contract: str = "",
    capacity: str = "",
    now: datetime,
    actor: Actor,
) -> Line:
    """Plan a line, with its pool and a first permit that says it is not in service.

    Args:
        enter_place: Place of the gateways that end customers' tunnels (ISO 3166).
        exit_place: Place where traffic leaves to the internet.
        sell_places: Every place whose customers it may serve, at least one.
        lessor: Who leases the line out, if somebody does; likewise the contract and its capacity.

    Raises:
        LineWrong: A place, class or use that no line can have.
        ClockBehind: The site's clock is behind its own records.
    """
    _check(enter_place, exit_place, sell_places, customer_class, use)
    with writing():
        approvals.check_clock(now=now)
        line = Line.objects.create(
            name=name,
            party=party,
            enter_place=enter_place,
            exit_place=exit_place,
            sell_places=sorted(set(sell_places)),
            customer_class=customer_class,
            use=use,
            lessor=lessor,
            lease_contract=lease_contract,
            capacity=capacity,
            created_at=now,
        )
        _record(line, "created", now, actor, name=name, enter=enter_place, exit=exit_place)
        Pool.objects.create(line=line)
        refresh_permits(now=now, actor=actor, lines=[line])
    return line


def put_in_service(*, line: Line, now: datetime, actor: Actor) -> Line:
    """Open a planned line, if the register allows it now; otherwise nothing changes.

    Raises:
        LineRefused: What the law of the places asks for is not recorded and valid.
        LineState: It is not planned.
        ClockBehind: The site's clock is behind its own records.
    """
    with writing():
        approvals.check_clock(now=now)
        verdict = judge_line(line=line, at=now, begins=True)
        if not verdict.allowed:
            waits = judge_line(line=line, at=now).allowed
            raise _refused(verdict, waits=waits)
        return _change(line, (State.PLANNED,), State.IN_SERVICE, "opened", now, actor)


def hold_line(*, line: Line, reason: str, now: datetime, actor: Actor) -> Line:
    """Hold a line at once. Any one member of staff may; customers see the reason.

    Raises:
        LineState: It is not in service.
    """
    with writing():
        Line.objects.filter(pk=line.pk, state=State.IN_SERVICE).update(hold_reason=reason)
        return _change(line, (State.IN_SERVICE,), State.HELD, "held", now, actor, reason=reason)


def release_line(*, line: Line, now: datetime, actor: Actor) -> Line:
    """End a hold by staff. The line opens only if the register allows it, as ever.

    Raises:
        LineState: It is not held.
        LineRefused: A rule pack that waits to take effect denies it: nothing begins against it.
    """
    with writing():
        waits = judge_line(line=line, at=now).allowed
        verdict = judge_line(line=line, at=now, begins=True)
        if waits and not verdict.allowed:
            raise _refused(verdict, waits=True)
        Line.objects.filter(pk=line.pk, state=State.HELD).update(hold_reason="")
        return _change(line, (State.HELD,), State.IN_SERVICE, "released", now, actor)


def close_line(*, line: Line, now: datetime, actor: Actor) -> Line:
    """Close a line for good.

    Raises:
        LineState: It is closed already.
    """
    before = (State.PLANNED, State.IN_SERVICE, State.HELD)
    with writing():
        return _change(line, before, State.CLOSED, "closed", now, actor)


def _change(
    line: Line,
    before: tuple[Line.State, ...],
    after: Line.State,
    verb: str,
    now: datetime,
    actor: Actor,
    **details: str,
) -> Line:
    if Line.objects.filter(pk=line.pk, state__in=before).update(state=after) != 1:
        line.refresh_from_db()
        raise LineState(
            _("This cannot be done: the line is %(state)s.") % {"state": line.get_state_display()}
        )
    line.refresh_from_db()
    _record(line, verb, now, actor, **details)
    refresh_permits(now=now, actor=actor, lines=[line])
    return line


def _refused(verdict: Verdict, *, waits: bool) -> LineRefused:
    """Return the refusal; `waits` says that only a rule pack that waits denies the line."""
    packs = packs_in_force()
    language = get_language() or "en"
    said = "\n".join(reasons.sentence(reason, language, packs) for reason in verdict.reasons)
    return LineRefused(
        _("The register does not allow this line:\n%s") % said,
        _("A newer rule pack that waits denies it: see Rule packs.") if waits else _remedy(verdict),
        verdict,
    )


def _remedy(verdict: Verdict) -> str:
    """Return where what denies a line is recorded: its approvals, or what nobody concluded yet."""
    concluded = {reason.slug in _TO_CONCLUDE for reason in verdict.reasons}
    if concluded == {True}:
        return str(_("Answer what is not known under Determinations, or plan another line."))
    if concluded == {True, False}:
        return str(
            _(
                "Record what is missing under Approvals and answer what is not known under "
                "Determinations, or plan another line."
            )
        )
    return str(_("Record what is missing under Approvals, or plan another line."))


def _check(
    enter_place: str, exit_place: str, sell_places: Sequence[str], customer_class: str, use: str
) -> None:
    if not sell_places:
        raise LineWrong(_("A line must name at least one place whose customers it serves."))
    for place in (enter_place, exit_place, *sell_places):
        if not is_place(place):
            raise LineWrong(
                _("“%s” is not the code of a place.") % place,
                _("Use the ISO 3166 code, such as SE or CN."),
            )
    if customer_class not in CUSTOMER_CLASSES or use not in USES:
        raise LineWrong(_("There is no such class of customers or use of a line."))


def _record(line: Line, verb: str, now: datetime, actor: Actor, **details: str) -> None:
    audit.record(now=now, actor=actor, action=f"line.{verb}", subject=line.code, **details)
