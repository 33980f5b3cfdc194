"""The law in force: what staff accepted, what came since, and from when that counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from register_cases import EVERY_ROLE, facts, line, row, write_pack

import lawbook
from ferriage.approvals import actions, packs, site, tasks
from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.models import Decision, PackAcceptance, PackVersion
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import DjangoAssertNumQueries, SettingsWrapper

    from ferriage.approvals.facts import Answer
    from ferriage.core.actors import Actor

CAME = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNTS = CAME + site.GRACE
TICK = timedelta(microseconds=1)
LINE = line("NZ", "NZ", "NZ")


@pytest.fixture
def pack_of(tmp_path: Path) -> Write:
    return Write(tmp_path)


class Write:
    """Writes versions of a pack for a place that no built-in pack speaks for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, version: str, answer: Answer, place: str = "NZ") -> packs.Pack:
        path = self.directory / f"{place}-{version}.toml"
        kinds = {"kinds": f'["{place}-LICENCE"]'} if answer == "required" else {}
        rows = row(answer, roles=EVERY_ROLE, **kinds)
        write_pack(path, place=place, rows=rows)
        text = path.read_text(encoding="utf-8").replace('"1"', f'"{version}"', 1)
        return packs.parse(text, name=str(path))


def allowed(at: datetime, *, begins: bool = False) -> bool:
    law = site.packs_in_force()
    return evaluate(facts(LINE, "NZ"), law.at_once if begins else law, at).allowed


def receive(pack: packs.Pack, now: datetime, owner: Actor) -> list[PackVersion]:
    return actions.receive_packs(packs=packs.Packs({pack.place: pack}), now=now, actor=owner)


# --- versions ---------------------------------------------------------------------------------


@given(a=st.integers(0, 99), b=st.integers(0, 99))
def test_numbers_in_versions_are_ordered_as_numbers(a: int, b: int) -> None:
    keys = [packs.version_key(f"2026-11-24.{number}") for number in (a, b)]
    assert (keys[0] < keys[1]) is (a < b)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1", "2"), ("9", "10"), ("2026-11-24.1", "2026-11-25"), ("1", "1.1"), ("1-rc", "1-rd")],
)
def test_versions_grow(older: str, newer: str) -> None:
    assert packs.version_key(older) < packs.version_key(newer)


# --- what comes -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_shop_that_accepted_nothing_knows_no_law(now: datetime) -> None:
    _past_the_rules(*FORGET)

    assert site.packs_in_force().by_place == {}
    assert not evaluate(facts(LINE, "NZ"), site.packs_in_force(), now).allowed


@pytest.mark.django_db
def test_pack_that_came_changes_nothing_that_is_open_until_its_day(pack_of: Write) -> None:
    lawbook.accept(pack_of("1", "not_required"))
    lawbook.receive(pack_of("2", "not_obtainable"), at=CAME)

    law = site.packs_in_force()
    open_now = evaluate(facts(LINE, "NZ"), law, CAME)
    closed = evaluate(facts(LINE, "NZ"), law, COUNTS)

    assert (open_now.allowed, open_now.valid_until) == (True, COUNTS)
    assert allowed(COUNTS - TICK)
    assert {reason.slug for reason in closed.reasons} == {"not-obtainable"}
    assert not allowed(CAME, begins=True)


@pytest.mark.django_db
def test_pack_that_came_allows_nothing_before_it_is_accepted(pack_of: Write, owner: Actor) -> None:
    lawbook.accept(pack_of("1", "not_obtainable"))
    newer = pack_of("2", "not_required")
    receive(newer, CAME, owner)

    found = [allowed(CAME), allowed(COUNTS), allowed(COUNTS + site.GRACE * 10)]
    actions.accept_pack(place="NZ", digest=newer.digest, now=CAME, actor=owner)

    assert (found, allowed(CAME)) == ([False, False, False], True)


@pytest.mark.django_db
def test_later_versions_do_not_put_off_the_day_of_the_first(pack_of: Write) -> None:
    lawbook.accept(pack_of("1", "not_required"))
    lawbook.receive(pack_of("2", "not_obtainable"), at=CAME)
    lawbook.receive(pack_of("3", "not_obtainable"), at=COUNTS - timedelta(days=1))

    (waits,) = (one for one in site.waiting() if one.place == "NZ")

    assert (waits.digest, waits.counts_at) == (pack_of("3", "not_obtainable").digest, COUNTS)
    assert (allowed(COUNTS - TICK), allowed(COUNTS)) == (True, False)


@pytest.mark.django_db
def test_each_place_has_a_day_of_its_own(pack_of: Write) -> None:
    lawbook.accept(pack_of("1", "not_required"), pack_of("1", "not_required", "KR"))
    lawbook.receive(pack_of("2", "not_obtainable"), at=CAME)
    lawbook.receive(pack_of("2", "not_obtainable", "KR"), at=CAME + timedelta(days=2))
    law = site.packs_in_force()

    found = [
        evaluate(facts(line(place, place, place), place), law, CAME).valid_until
        for place in ("NZ", "KR")
    ]

    assert found == [COUNTS, COUNTS + timedelta(days=2)]


@pytest.mark.django_db
def test_older_version_and_another_text_of_the_same_are_left_aside(
    pack_of: Write, now: datetime, owner: Actor
) -> None:
    lawbook.accept(pack_of("2", "not_required"))

    older = receive(pack_of("1", "not_obtainable"), now, owner)
    other = receive(pack_of("2", "not_obtainable"), now, owner)
    newer = receive(pack_of("10", "not_obtainable"), now, owner)
    again = receive(pack_of("10", "not_obtainable"), now, owner)

    assert [len(found) for found in (older, other, newer, again)] == [0, 0, 1, 0]


@pytest.mark.django_db
def test_worker_receives_what_ships_and_says_nothing_the_second_time(now: datetime) -> None:
    _past_the_rules(*FORGET)

    found = [tasks.run(now), tasks.run(now)]

    assert found == [len(packs.builtin_paths()), 0]
    assert not PackAcceptance.objects.exists()


@pytest.mark.django_db
def test_shop_accepts_by_itself_only_what_it_is_made_with(
    pack_of: Write, now: datetime, owner: Actor
) -> None:
    first = packs.Packs({"NZ": pack_of("1", "not_required")})
    begun = actions.begin_with_packs(packs=first, now=now, actor=owner)
    verdict = evaluate(facts(LINE), site.packs_in_force(), now)
    actions.write_decision(subject="ln_1", line=LINE, verdict=verdict, now=now)

    second = packs.Packs({"NZ": pack_of("2", "not_required")})
    later = actions.begin_with_packs(packs=second, now=now, actor=owner)

    assert ([str(row) for row in begun], later) == (["NZ 1"], [])
    assert [one.place for one in site.waiting()] == ["NZ"]


# --- accepting --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_acceptance_is_recorded_once_with_who_and_what(
    pack_of: Write, now: datetime, owner: Actor
) -> None:
    newer = pack_of("2", "not_obtainable")
    receive(newer, now, owner)

    accepted = actions.accept_pack(place="NZ", digest=newer.digest, now=now, actor=owner)

    entry = AuditEntry.objects.latest("sequence")
    assert (accepted.accepted_by, accepted.accepted_at) == ("staff:olga", now)
    assert (entry.action, entry.subject) == ("pack.accepted", "NZ")
    assert entry.details == {"version": "2", "sha256": newer.digest}
    with pytest.raises(actions.NothingWaits):
        actions.accept_pack(place="NZ", digest=newer.digest, now=now, actor=owner)


@pytest.mark.django_db
def test_only_what_was_shown_is_accepted(pack_of: Write, now: datetime, owner: Actor) -> None:
    shown = pack_of("2", "not_required")
    lawbook.receive(shown, pack_of("3", "not_obtainable"), at=now)

    with pytest.raises(StaleState):
        actions.accept_pack(place="NZ", digest=shown.digest, now=now, actor=owner)

    assert "NZ" not in site.packs_in_force().by_place


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_packversion SET text = ''",
        "DELETE FROM approvals_packversion",
        "UPDATE approvals_packacceptance SET accepted_by = 'nobody'",
        "DELETE FROM approvals_packacceptance",
    ],
)
def test_database_keeps_what_came_and_who_accepted(statement: str) -> None:
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["packversion", "packacceptance"])
def test_database_lets_rows_be_neither_replaced_nor_emptied(table: str) -> None:
    statements = {
        "sqlite": f"INSERT OR REPLACE INTO approvals_{table} SELECT * FROM approvals_{table}",  # noqa: S608 -- the test's own words
        "postgresql": f"TRUNCATE approvals_{table} CASCADE",
    }
    with (
        pytest.raises(IntegrityError, match=r"append-only|newer version"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statements[connection.vendor])


@pytest.mark.django_db
def test_database_refuses_to_go_back_to_an_older_version(pack_of: Write, now: datetime) -> None:
    first, second = lawbook.receive(
        pack_of("1", "not_required"), pack_of("2", "not_obtainable"), at=now
    )
    PackAcceptance.objects.create(pack=second, accepted_at=now, accepted_by="staff:olga")

    with pytest.raises(IntegrityError, match="newer version"), transaction.atomic():
        PackAcceptance.objects.create(pack=first, accepted_at=now, accepted_by="staff:olga")


@pytest.mark.django_db
def test_text_that_was_altered_in_the_database_is_no_law(pack_of: Write, now: datetime) -> None:
    lawbook.accept(pack_of("7", "required"), at=now)
    _past_the_rules("UPDATE approvals_packversion SET text = text || ' ' WHERE place = 'NZ'")

    with pytest.raises(packs.PackError, match="NZ 7 in the database is not the one that came"):
        site.packs_in_force()


@pytest.mark.django_db
def test_shop_that_went_public_forgets_the_place_it_was_tried_in(
    settings: SettingsWrapper, now: datetime
) -> None:
    lawbook.receive(lawbook.stricter(), at=now)
    tried = ("XD" in site.packs_in_force().by_place, [one.place for one in site.waiting()])
    config = settings.FERRIAGE
    public = replace(config.site, url="https://vpn.company.com")
    settings.FERRIAGE = replace(config, site=public)

    assert tried == (True, ["XD"])
    assert ("XD" in site.packs_in_force().by_place, site.waiting()) == (False, ())


# --- what is kept and what it costs -----------------------------------------------------------


@pytest.mark.django_db
def test_decision_names_what_waited_when_it_was_made(pack_of: Write) -> None:
    old, newer = pack_of("1", "not_required"), pack_of("2", "not_obtainable")
    lawbook.accept(old)
    lawbook.receive(newer, at=CAME)
    verdict = evaluate(facts(LINE), site.packs_in_force(), CAME)

    actions.write_decision(subject="ln_1", line=LINE, verdict=verdict, now=CAME)

    kept = Decision.objects.get().packs
    assert (kept["NZ"], kept["NZ from 2026-03-08T12:00:00Z"]) == (
        f"1 {old.digest}",
        f"2 {newer.digest}",
    )


@pytest.mark.django_db
def test_law_is_read_with_one_query_and_parsed_once(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    first = site.packs_in_force()
    with django_assert_num_queries(1):
        second = site.packs_in_force()
    assert second is first


FORGET = ("DELETE FROM approvals_packacceptance", "DELETE FROM approvals_packversion")


def _past_the_rules(*statements: str) -> None:
    """Write as somebody would who has the database itself and turns its triggers off."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            before = ["SET session_replication_role = replica"]
            after = ["SET session_replication_role = DEFAULT"]
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            before = [f"DROP TRIGGER {name}" for name, _sql in triggers]
            after = [sql for _name, sql in triggers]
        for statement in (*before, *statements, *after):
            cursor.execute(statement)
