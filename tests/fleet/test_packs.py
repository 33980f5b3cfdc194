"""A newer rule pack: what it would change, what it stops at once, and letting it take effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals import actions as approvals
from ferriage.approvals import packs, site
from ferriage.approvals.voiding import voided_by
from ferriage.config import ConfigError
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions, tasks
from ferriage.fleet.models import Line, Permit
from ferriage.fleet.queries import turns
from gate_world import SwedishYard
from lawbook import NEWER, newer, receive, stricter
from yard import OWNER, Yard, last_permit

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_django.fixtures import SettingsWrapper

pytestmark = pytest.mark.django_db


NO_SALE = (
    'answer = "not_required"\nclause = "section 2"',
    'answer = "not_obtainable"\nclause = "2b"',
)


def test_open_line_stays_open_until_the_day_of_what_waits(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    receive(stricter(), at=now)

    tasks.run(now)
    waiting = last_permit(line)
    tasks.run(now + site.GRACE)

    assert (waiting.state, waiting.open_until) == ("open", int((now + site.GRACE).timestamp()))
    assert last_permit(line).state == "held"


def test_planned_line_is_not_opened_when_what_waits_denies_it(yard: Yard, now: datetime) -> None:
    line = yard.plan()
    yard.approve(line)
    receive(stricter(), at=now)

    with pytest.raises(actions.LineRefused) as refusal:
        actions.put_in_service(line=line, now=now, actor=OWNER)

    assert {reason.slug for reason in refusal.value.verdict.reasons} == {"not-obtainable"}
    assert str(refusal.value.remedy) == "A newer rule pack that waits denies it: see Rule packs."


def test_accepting_closes_what_it_denies_in_the_same_transaction(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    pack = stricter()
    receive(pack, at=now)

    actions.accept_pack(place="XD", digest=pack.digest, now=now, actor=OWNER)

    written = [entry.action for entry in AuditEntry.objects.order_by("-sequence")[:2]]
    permit = Permit.objects.filter(line=line).latest("serial")
    assert written == ["permit.written", "pack.accepted"]
    assert (permit.state, permit.decision.packs["XD"]) == ("held", f"{NEWER} {pack.digest}")


def test_acceptance_is_undone_when_what_follows_from_it_fails(
    yard: Yard, now: datetime, settings: SettingsWrapper
) -> None:
    yard.open_line()
    pack = stricter()
    receive(pack, at=now)
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, site=replace(config.site, data_dir="/nowhere"))

    with pytest.raises(ConfigError):
        actions.accept_pack(place="XD", digest=pack.digest, now=now, actor=OWNER)

    assert [one.place for one in site.waiting()] == ["XD"]


def test_turns_name_line_and_sale_and_change_nothing(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    before = Permit.objects.count()

    found = turns(newer("XD", NO_SALE), at=now)
    same = turns(newer("XD", ("section 4", "section 5")), at=now)

    assert [(turn.line, turn.customer_place, turn.closes) for turn in found] == [(line, "XD", True)]
    assert found[0].after.reasons[0].clause == "2b"
    assert (same, Permit.objects.count()) == ([], before)


def test_turns_tell_an_instant_that_moves(yard: Yard, now: datetime) -> None:
    yard.open_line()
    earlier = newer("XD")
    text = earlier.text + (
        '\n[[rows]]\nroles = ["exit"]\ncustomer_classes = ["public"]\nuses = ["resale"]\n'
        'answer = "not_obtainable"\nclause = "section 7"\nsource = "xd-lines"\n'
        "effective_from = 2026-06-01\n"
    )
    pack = packs.parse(text, name="XD", allow_user_assigned=True)

    (permit, sale) = turns(pack, at=now)

    assert (permit.customer_place, sale.customer_place) == (None, "XD")
    assert [f"{turn.after.valid_until:%Y-%m-%d}" for turn in (permit, sale)] == ["2026-06-01"] * 2
    assert permit.before.valid_until > permit.after.valid_until


def test_conclusions_that_a_pack_makes_void_are_named(yard: Yard, now: datetime) -> None:
    party = approvals.create_party(name="Harbour AB", place="SE", now=now, actor=OWNER)
    swedish = SwedishYard(party, yard.store, now)
    swedish.open_line()
    pack = newer(
        "SE",
        ('read = "nothing"', 'read = "text"\nread_on = 2026-11-25'),
        ('answer = "unknown"', 'answer = "not_required"'),
        ("effective_from = 2022-06-03", "effective_from = 2026-05-01"),
        ('roles = ["operate", "enter", "exit", "cross", "sell"]', 'roles = ["sell"]'),
    )
    law = site.packs_in_force().with_pack(pack)

    (void,) = voided_by(pack, packs=law, at=now)

    assert (void.determination.role, void.row.answer) == ("sell", "not_required")
    assert f"{void.since:%Y-%m-%dT%H:%M}" == "2026-04-30T22:00"


def test_hold_is_not_released_against_a_pack_that_waits(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    actions.hold_line(line=line, reason="x", now=now, actor=OWNER)
    receive(stricter(), at=now)

    with pytest.raises(actions.LineRefused):
        actions.release_line(line=line, now=now + timedelta(hours=1), actor=OWNER)

    line.refresh_from_db()
    assert line.state == Line.State.HELD
