"""Several second people at the same moment, each on a connection of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Approval, ClockRepair, Decision, OutsideAnswer
from ferriage.approvals.queries import first_broken_decision
from ferriage.approvals.site import packs_in_force
from ferriage.core.audit import first_broken
from ferriage.core.errors import StaleState
from ferriage.fleet import actions
from own_database import at_once
from yard import ISSUED, OWNER, PAPER, SECOND, Yard

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config

YES = approvals.Answer(
    name="Karin Öberg", relation="Bookkeeper", looked_at="The licence.", confirmed=True
)


@pytest.fixture
def yard(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_yard: Callable[[datetime], Yard],
    now: datetime,
) -> Yard:
    return make_yard(now)


def entered(yard: Yard) -> Approval:
    """An approval of a planned line that waits for its second person."""
    line = yard.plan()
    approval = approvals.record_approval(
        kind="XD-PUBLIC-VPN",
        holder=yard.party,
        line_codes=[line.code],
        packs=packs_in_force(),
        now=yard.now,
        actor=OWNER,
    )
    return approvals.grant(
        approval=approval,
        issued=ISSUED,
        file=PAPER,
        store_dir=yard.store,
        now=yard.now,
        actor=OWNER,
    )


def link(yard: Yard, subject: Approval | ClockRepair) -> str:
    return approvals.create_outside_link(subject=subject, now=yard.now, actor=OWNER)


def kinds(results: list[object]) -> list[str]:
    return sorted(type(result).__name__ for result in results)


def test_link_takes_one_answer_however_many_send_one(yard: Yard) -> None:
    approval = entered(yard)
    token = link(yard, approval)

    def answer(name: str) -> OutsideAnswer:
        given = replace(YES, name=name)
        return actions.answer_outside_link(token=token, answer=given, now=yard.now)

    results = at_once(*(partial(answer, name) for name in ("Karin Öberg", "Per Ek", "Ann Li")))

    approval.refresh_from_db()
    assert kinds(results) == ["OutsideAnswer", "OutsideLinkGone", "OutsideLinkGone"]
    assert approval.verified_by == f"outside:{OutsideAnswer.objects.get().name}"
    assert (first_broken(), first_broken_decision()) == (None, None)


def test_staff_and_outside_verify_once_between_them(yard: Yard) -> None:
    approval = entered(yard)
    token = link(yard, approval)

    results = at_once(
        lambda: actions.verify_approval(approval=approval, now=yard.now, actor=SECOND),
        lambda: actions.answer_outside_link(token=token, answer=YES, now=yard.now),
    )

    refused = [result for result in results if isinstance(result, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], StaleState | approvals.OutsideLinkGone)
    approval.refresh_from_db()
    assert (approval.verified_by == "vera") is (OutsideAnswer.objects.count() == 0)


def test_revocation_and_answer_leave_a_revoked_approval(yard: Yard) -> None:
    approval = entered(yard)
    token = link(yard, approval)

    at_once(
        lambda: actions.revoke_approval(approval=approval, now=yard.now, actor=OWNER),
        lambda: actions.answer_outside_link(token=token, answer=YES, now=yard.now),
    )

    approval.refresh_from_db()
    assert approval.state == "revoked"


def test_version_is_corrected_once_however_many_begin(yard: Yard) -> None:
    yard.open_line()
    former = Approval.objects.get()

    def correct() -> Approval:
        return approvals.correct(
            approval=former,
            says=approvals.Record(kind=former.kind, holder=former.holder, line_codes=["ln_x"]),
            reason="The line is another one.",
            packs=packs_in_force(),
            now=yard.now,
            actor=OWNER,
        )

    results = at_once(correct, correct, correct)

    assert kinds(results) == ["Approval", "StaleState", "StaleState"]
    assert Approval.objects.count() == 2


def test_repair_is_confirmed_once_however_many_confirm(yard: Yard) -> None:
    yard.open_line()
    actions.refresh_permits(now=yard.now + timedelta(days=380), actor=OWNER)
    wrong = approvals.first_wrong(yard.now)
    assert wrong is not None
    repair = approvals.propose_clock_repair(
        first_sequence=wrong.sequence, reason="It ran ahead.", now=yard.now, actor=OWNER
    )
    token = link(yard, repair)

    results = at_once(
        lambda: actions.confirm_clock_repair(repair=repair, now=yard.now, actor=SECOND),
        lambda: actions.confirm_clock_repair(repair=repair, now=yard.now, actor=SECOND),
        lambda: actions.answer_outside_link(token=token, answer=YES, now=yard.now),
    )

    assert len([result for result in results if isinstance(result, Exception)]) == 2
    assert Decision.objects.filter(subject=repair.code).count() == 1
    assert first_broken_decision() is None
