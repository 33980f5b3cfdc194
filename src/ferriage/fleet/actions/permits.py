"""Permits: the signed word that a line may be open, written from the register's verdict.

A step towards closing never waits for a clock, a rule pack or a second person; only a step
towards opening does. So a permit that is not open may rest on the line's last Decision when no
new one can be written.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from ferriage import wire
from ferriage.approvals import actions as approvals
from ferriage.approvals import reasons
from ferriage.approvals.packs import PackError
from ferriage.approvals.queries import load_register
from ferriage.core import audit
from ferriage.core.clock import from_unix, unix
from ferriage.core.db import writing
from ferriage.fleet import feed, site
from ferriage.fleet.models import Line, Permit, Pool
from ferriage.fleet.queries import line_facts, newest_permits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.models import Approval, ClockRepair, Decision
    from ferriage.approvals.queries import Register
    from ferriage.core.actors import Actor

log = structlog.get_logger()

_PLANNED = gettext_noop("This line is not in service yet.")
_CLOSED = gettext_noop("This line is closed for good.")
_UNREADABLE = gettext_noop("The rules that this line is judged by cannot be read at the moment.")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a line's permit must say. `verdict` is None when no rule pack could be read."""

    state: wire.PermitState
    open_until: int
    reason: dict[str, str]
    verdict: Verdict | None


def refresh_permits(
    *, now: datetime, actor: Actor, lines: Iterable[Line] | None = None
) -> list[Permit]:
    """Write a new permit for each line whose verdict, state or shop changed.

    Device rows are never touched: one row per line is what makes closing fast.

    Args:
        lines: All that are not closed when None.

    Returns:
        The permits that were written, in order of their lines.
    """
    with writing():
        chosen = [line.pk for line in lines] if lines is not None else None
        rows = _lines(chosen)
        newest = newest_permits(rows)
        register = _register()
        written = [
            _write(line, newest.get(line.pk), _wanted(line, register, now), now) for line in rows
        ]
        return _recorded(written, now, actor)


def rejudge(*, repair: ClockRepair, now: datetime, actor: Actor) -> list[Permit]:
    """Judge again each line whose permit rests on a Decision that a clock repair names.

    No permit becomes longer here, and none opens: what is longer needs a Decision of its own day,
    which `refresh_permits` writes as ever.

    Returns:
        The permits that were written, in order of their lines.
    """
    with writing():
        rows = _lines(None)
        newest = newest_permits(rows)
        named = Permit.objects.filter(
            pk__in=[permit.pk for permit in newest.values()],
            decision__sequence__range=(repair.first_sequence, repair.last_sequence),
        )
        resting = set(named.values_list("line_id", flat=True))
        register = _register()
        written = [
            _write_shorter(line, newest[line.pk], _wanted(line, register, now), now)
            for line in rows
            if line.pk in resting
        ]
        return _recorded(written, now, actor)


def suspend_approval(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Suspend an approval and close, in the same transaction, every line that rested on it.

    Raises:
        NotInThisState: It is not granted.
    """
    with writing():
        changed = approvals.suspend(approval=approval, now=now, actor=actor)
        refresh_permits(now=now, actor=actor)
    return changed


def revoke_approval(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Revoke an approval for good and close, in the same transaction, what rested on it.

    Raises:
        NotInThisState: It is neither granted, suspended nor lodged.
    """
    with writing():
        changed = approvals.revoke(approval=approval, now=now, actor=actor)
        refresh_permits(now=now, actor=actor)
    return changed


def _recorded(written: Iterable[Permit | None], now: datetime, actor: Actor) -> list[Permit]:
    """Tell the gateways of each permit that was written, and record it."""
    permits = [permit for permit in written if permit is not None]
    _tell(permits, now)
    for permit in permits:
        audit.record(
            now=now,
            actor=actor,
            action="permit.written",
            subject=permit.line.code,
            serial=permit.serial,
            state=permit.state,
            open_until=permit.open_until.isoformat(),
        )
    return permits


def _tell(permits: Sequence[Permit], now: datetime) -> None:
    """Append each permit to every pool of its line, over all lines by primary key of the pools."""
    by_line = {permit.line_id: permit for permit in permits}
    for pool in Pool.objects.filter(line__in=by_line).order_by("pk"):
        feed.append(pool=pool, items=[feed.FeedPermit(signed(by_line[pool.line_id]))], now=now)


def repeat(pools: Iterable[Pool], now: datetime) -> None:
    """Say the newest permit once more to some pools; inside a transaction of the caller's.

    The first thing that a new pool hears, and a word that changes nothing to wake who waits.
    """
    ordered = sorted(pools, key=lambda pool: pool.pk)
    newest = newest_permits({pool.line for pool in ordered})
    for pool in ordered:
        feed.append(pool=pool, items=[feed.FeedPermit(signed(newest[pool.line_id]))], now=now)


def signed(permit: Permit) -> wire.SignedPermit:
    """Return a permit as gateways are handed it."""
    return wire.SignedPermit(payload=permit.payload, signature=permit.signature)


# --- what a permit must say -------------------------------------------------------------------


def _lines(chosen: list[int] | None) -> list[Line]:
    rows = Line.objects.select_related("party").order_by("pk")
    if chosen is None:
        return list(rows.exclude(state=Line.State.CLOSED))
    return list(rows.filter(pk__in=chosen))


def _register() -> Register | None:
    try:
        return load_register()
    except PackError:
        log.exception("register.unreadable")
        return None


def _wanted(line: Line, register: Register | None, now: datetime) -> _Wanted:
    verdict = register.judge(line=line_facts(line), at=now) if register else None
    if line.state == Line.State.IN_SERVICE:
        return _by_verdict(verdict, register, now)
    state: wire.PermitState = "held" if line.state == Line.State.HELD else "closed"
    return _Wanted(state, unix(now), _by_state(line), verdict)


def _by_verdict(verdict: Verdict | None, register: Register | None, now: datetime) -> _Wanted:
    if verdict is None or register is None:
        return _Wanted("held", unix(now), _in_each_language(_UNREADABLE), None)
    if verdict.allowed and unix(verdict.valid_until) > unix(now):
        return _Wanted("open", unix(verdict.valid_until), {}, verdict)
    return _Wanted("held", unix(now), reasons.sentences(verdict, register.packs), verdict)


def _by_state(line: Line) -> dict[str, str]:
    if line.state == Line.State.HELD:
        # What staff wrote stays as it is; our own reasons have translations.
        written = line.hold_reason
        return _in_each_language(written) if written else dict.fromkeys(reasons.LANGUAGES, "")
    return _in_each_language(_PLANNED if line.state == Line.State.PLANNED else _CLOSED)


def _in_each_language(text: str) -> dict[str, str]:
    found = {}
    for language in reasons.LANGUAGES:
        with override(language):
            found[language] = _(text)
    return found


# --- writing one ------------------------------------------------------------------------------


def _write(line: Line, last: Permit | None, wanted: _Wanted, now: datetime) -> Permit | None:
    heard = last is not None and last.serial > (line.permit_floor or 0)
    if last is not None and heard and _says(last, wanted, site.shop()):
        return None
    return _sign(line, last, wanted, now)


def _write_shorter(line: Line, last: Permit, wanted: _Wanted, now: datetime) -> Permit | None:
    """Write a permit that allows no more than the last one, unless that one has ended anyway."""
    if last.state != Permit.State.OPEN or last.open_until <= now:
        return None
    if wanted.state == "open":
        shorter = min(wanted.open_until, unix(last.open_until))
        wanted = replace(wanted, open_until=shorter)
    return _sign(line, last, wanted, now)


def _sign(line: Line, last: Permit | None, wanted: _Wanted, now: datetime) -> Permit | None:
    decision = _decision(line, last, wanted, now)
    if decision is None:
        log.warning("permit.deferred", line=line.code, state=wanted.state)
        return None
    said = wire.Permit(
        line=line.code,
        serial=max(last.serial if last else 0, line.permit_floor or 0) + 1,
        state=wanted.state,
        open_until=wanted.open_until,
        decision=decision.sequence,
        reason=wanted.reason,
        shop=site.shop(),
    )
    paper = wire.sign_permit(site.permit_key(), said)
    return Permit.objects.create(
        line=line,
        serial=said.serial,
        state=said.state,
        open_until=from_unix(said.open_until),
        decision=decision,
        payload=paper.payload,
        signature=paper.signature,
        written_at=now,
    )


def _says(permit: Permit, wanted: _Wanted, shop: wire.Shop) -> bool:
    said = wire.decode(permit.payload, wire.Permit)
    if (said.state, said.reason, said.shop) != (wanted.state, wanted.reason, shop):
        return False
    # When a permit is not open its instant is only the moment it was written.
    return said.state != "open" or said.open_until == wanted.open_until


def _decision(line: Line, last: Permit | None, wanted: _Wanted, now: datetime) -> Decision | None:
    """Return what the permit rests on, or None when opening has to wait for a right clock."""
    before = last.decision if last else None
    if wanted.verdict is None:
        return before
    try:
        return approvals.write_decision(
            subject=line.code, line=line_facts(line), verdict=wanted.verdict, now=now
        )
    except approvals.ClockBehind:
        return None if wanted.state == "open" else before
