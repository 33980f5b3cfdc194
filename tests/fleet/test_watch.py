"""What is looked for: each fact alone, made by the real actions, and nothing when all is well."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from django.conf import settings as django_settings

from ferriage import wire
from ferriage.agent import examiner
from ferriage.core import rounds
from ferriage.core.clock import unix
from ferriage.core.models import WorkerRun
from ferriage.fleet import actions, alarmwords, lacking, lookout, watch
from ferriage.fleet.feed import FeedPut, append
from ferriage.fleet.models import Alarm, Gateway, Pool, PoolChange
from yard import OWNER, Yard, device, report_of, status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import DjangoAssertNumQueries, SettingsWrapper

    from yard import EnrolledGateway

DOCS = Path(__file__).parents[2] / "docs/how-to/run-gateways.md"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def gateway(yard: Yard) -> EnrolledGateway:
    """A gateway that serves a line in service and is in step with it."""
    return yard.gateway(yard.open_line())


def _report(gateway: EnrolledGateway, now: datetime, *, sequence: int = 1, **changes: Any) -> None:
    pool = Pool.objects.get()
    signs, checks = changes.pop("signs", ()), changes.pop("checks", ())
    values = {"rev": pool.revision, "digest": pool.digest, **changes}
    report = report_of(status(pool.code, **values), sequence=sequence, signs=signs, checks=checks)
    actions.take_report(gateway=gateway.row, report=report, now=now)


def _found(now: datetime) -> list[tuple[str, dict[str, Any], timedelta]]:
    facts = lookout.facts(now=now, by_worker=True)
    return [(str(fact.kind), fact.details, fact.patience) for fact in facts]


def test_nothing_is_found_when_all_is_well(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now)

    assert _found(now + MINUTE) == []


def test_gateway_is_silent_after_a_minute(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now)

    details = {"since": "2026-03-01T12:00:00+00:00", "name": "alpha"}
    found = _found(now + MINUTE + SECOND)
    assert found == [("gateway_silent", details, timedelta(seconds=20))]


def test_closed_and_waiting_gateways_are_not_missed(yard: Yard, now: datetime) -> None:
    yard.gateway()
    Gateway.objects.update(state=Gateway.State.WAITING)

    assert _found(now + timedelta(hours=1)) == []


def test_gateway_lags_by_what_was_committed_over_a_minute_ago(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now)
    pool = Pool.objects.get()
    had = {"rev": pool.revision, "digest": pool.digest}
    append(pool=pool, items=[FeedPut(device(1)), FeedPut(device(2))], now=now)
    _report(gateway, now + MINUTE, sequence=2, **had)

    assert _found(now + MINUTE) == []
    details = {"behind": {"XD public": 2}, "differs": [], "name": "alpha"}
    found = _found(now + MINUTE + SECOND)
    assert found == [("gateway_lags", details, timedelta(0))]


def _health(now: datetime) -> lookout.Health:
    (health,) = lookout.healths(lookout.served(), now=now)
    return health


def test_what_the_log_has_no_more_lags_for_longer_than_it_is_kept(
    gateway: EnrolledGateway, now: datetime
) -> None:
    pool = Pool.objects.get()
    had: dict[str, Any] = {"rev": pool.revision, "digest": pool.digest}
    append(pool=pool, items=[FeedPut(device(1))], now=now)
    _report(gateway, now, **had)
    known = _health(now + timedelta(hours=3))
    PoolChange.objects.all().delete()  # as the worker does with the old ones

    beyond = _health(now + timedelta(days=8))

    assert (known.behind_seconds, known.beyond_log) == (3 * 3600, False)
    assert (beyond.behind_seconds, beyond.beyond_log) == (7 * 86_400, True)


def test_what_a_gateway_lacks_after_a_restore_has_no_age(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now)
    actions.begin_history(witnesses={}, now=now, actor=OWNER)

    health = _health(now)

    assert health.before_restore
    assert (health.behind, health.behind_seconds, health.beyond_log) == (1, 0, False)
    # It takes the snapshot within seconds, so nobody is told before that has stood.
    details = {"behind": {}, "differs": ["XD public"], "name": "alpha"}
    assert _found(now) == [("gateway_lags", details, MINUTE)]


def test_gateway_that_runs_something_else_lags_once_that_stood(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now, digest="f" * 64)
    details = {"behind": {}, "differs": ["XD public"], "name": "alpha"}
    assert _found(now) == [("gateway_lags", details, MINUTE)]

    _report(gateway, now, sequence=2, epoch="former")
    assert _found(now) == [("gateway_lags", details, MINUTE)]


def test_refused_records_and_kept_devices_are_told_as_such_only(
    gateway: EnrolledGateway, now: datetime
) -> None:
    refused = (wire.Refused(device="dev_1", reason="slot is taken"),)
    _report(gateway, now, digest="f" * 64, refused=refused)
    lines = {"lines": {"XD public": 1}, "name": "alpha"}
    assert _found(now) == [("gateway_refuses", lines, timedelta(0))]

    kept = wire.Deferred(snapshot_rev=3, count=9, digest="a" * 64)
    _report(gateway, now, sequence=2, digest="f" * 64, deferred=kept)
    lines = {"lines": {"XD public": 9}, "name": "alpha"}
    assert _found(now) == [("removals_deferred", lines, timedelta(0))]


def test_second_agent_is_told_while_it_tries(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now)
    with pytest.raises(actions.LeaseHeld):
        actions.take_report(gateway=gateway.row, report=report_of(instance="second"), now=now)

    assert _found(now) == [("second_agent", {"name": "alpha"}, timedelta(0))]
    _report(gateway, now + 2 * MINUTE, sequence=2)
    assert _found(now + 2 * MINUTE) == []


def test_changes_by_somebody_else_are_told_for_a_while_and_the_slow_build_always(
    gateway: EnrolledGateway, now: datetime
) -> None:
    signs = (
        wire.Sign(kind="table", pool="", count=2, at=unix(now)),
        wire.Sign(kind="peer", pool="p", count=1, at=unix(now)),
        wire.Sign(kind="interface", pool="p", count=4, at=unix(now - timedelta(hours=1))),
        wire.Sign(kind="slow-build", pool="", count=1, at=unix(now)),
        wire.Sign(kind="of-another-release", pool="", count=1, at=unix(now)),
    )
    _report(gateway, now, signs=signs)

    changed = {"changes": {"table": 2, "peer": 1}, "name": "alpha"}
    assert _found(now) == [
        ("foreign_changes", changed, timedelta(0)),
        ("slow_build", {"name": "alpha"}, timedelta(0)),
    ]
    _report(gateway, now + 3 * MINUTE, sequence=2, signs=signs)
    assert [kind for kind, _, _ in _found(now + 3 * MINUTE)] == ["slow_build"]


def test_slow_build_is_told_on_while_the_gateway_is_silent(
    gateway: EnrolledGateway, now: datetime
) -> None:
    slow = wire.Sign(kind="slow-build", pool="", count=1, at=unix(now))
    _report(gateway, now, signs=(slow,))

    found = [kind for kind, _, _ in _found(now + timedelta(hours=1))]

    assert found == ["gateway_silent", "slow_build"]


# --- what it needs ----------------------------------------------------------------------------


def _check(slug: str, state: wire.CheckState, value: str = "", remedy: str = "") -> wire.Check:
    return wire.Check(slug=slug, state=state, value=value, remedy=remedy)


FIREWALL = _check("forwarding", "failed", "inet filter forward", "foreign-forward")
RESOLVER = _check("resolver", "failed", "10.64.0.1", "resolver-silent")


def test_gateway_that_lacks_what_it_needs_is_told_once_that_stood(
    gateway: EnrolledGateway, now: datetime
) -> None:
    checks = (_check("ipv4", "ok", "wan"), FIREWALL, RESOLVER, _check("outside", "unknown"))
    opened = []
    for seconds in (0, 15, 29, 30):
        at = now + seconds * SECOND
        _report(gateway, at, sequence=seconds + 1, checks=checks)
        watch.look(at, by_worker=True)
        opened.append(Alarm.objects.exclude(opened_at=None).count())

    alarm = Alarm.objects.get()

    assert opened == [0, 0, 0, 1]
    assert (alarm.kind, alarm.subject) == ("gateway_lacks", gateway.row.code)
    said = "✗ Packets may pass (inet filter forward); ✗ Resolver (10.64.0.1)"
    assert alarmwords.said(alarm) == said


def test_what_was_mended_before_it_stood_is_told_to_nobody(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now, checks=(RESOLVER,))
    watch.look(now, by_worker=True)
    _report(gateway, now + 15 * SECOND, sequence=2, checks=(_check("resolver", "ok"),))
    watch.look(now + 15 * SECOND, by_worker=True)

    assert Alarm.objects.count() == 0


@pytest.mark.parametrize(
    "check",
    [
        _check("line", "failed", "ln_1", "line-not-open"),
        _check("handshake", "unknown", remedy="no-handshake"),
        _check("ipv6", "ok", "none", "no-ipv6"),
        _check("of-another-release", "failed"),
    ],
)
def test_what_is_no_fault_of_the_gateways_is_no_alarm(
    gateway: EnrolledGateway, now: datetime, check: wire.Check
) -> None:
    _report(gateway, now, checks=(check,), line_open=False)

    assert _found(now) == []


def test_silent_gateway_is_told_as_silent_only(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now, checks=(FIREWALL,))

    assert [kind for kind, _, _ in _found(now + 5 * MINUTE)] == ["gateway_silent"]


def test_port_that_is_shut_is_told_where_the_site_once_heard_an_answer(
    gateway: EnrolledGateway, yard: Yard, now: datetime
) -> None:
    _report(gateway, now)
    Gateway.objects.update(probe="silent")
    alone = _found(now)
    other = yard.gateway(name="beta")
    Gateway.objects.filter(pk=other.row.pk).update(probe="answered")

    found = _found(now)

    assert alone == []
    details = {"lacks": [["handshake", ""]], "name": "alpha"}
    assert found == [("gateway_lacks", details, lookout.LACKS_AFTER)]


def test_what_breaks_between_two_looks_of_the_agent_is_an_alarm_when_the_docs_say() -> None:
    latest = examiner.PAUSE_SECONDS * SECOND + lookout.LACKS_AFTER + watch.EVERY

    assert latest == 70 * SECOND
    assert "so it opens 70 s after the fault at the latest" in DOCS.read_text("utf-8")


@pytest.mark.parametrize("gateways", [1, 3])
def test_looking_for_what_they_lack_costs_the_same_for_all(
    yard: Yard, now: datetime, django_assert_num_queries: DjangoAssertNumQueries, gateways: int
) -> None:
    line = yard.open_line()
    for number in range(gateways):
        row = yard.gateway(line, name=f"gateway {number}").row
        Gateway.objects.filter(pk=row.pk).update(
            last_seen_at=now, probe="silent", checks=[msgspec.to_builtins(FIREWALL)]
        )
    active = list(Gateway.objects.all())

    with django_assert_num_queries(3):
        found = lacking.of(active)
    assert [len(steps) for steps in found.values()] == [1] * gateways


@pytest.mark.parametrize("changes", [{"count": -1}, {"at": -1}, {"at": 1 << 40}])
def test_signs_that_cannot_be_are_refused(
    gateway: EnrolledGateway, now: datetime, changes: dict[str, int]
) -> None:
    sign = wire.Sign(**{"kind": "table", "pool": "", "count": 1, "at": 0, **changes})  # type: ignore[arg-type]

    with pytest.raises(actions.ReportWrong):
        _report(gateway, now, signs=(sign,))


def test_line_is_told_two_weeks_before_it_closes(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now)
    closes = actions_end(now)

    Gateway.objects.update(state=Gateway.State.CLOSED)
    assert _found(closes - timedelta(days=14, seconds=1)) == []
    details = {"name": "XD public", "until": closes.isoformat(timespec="seconds")}
    assert _found(closes - timedelta(days=14)) == [("line_closing", details, timedelta(0))]
    assert _found(closes) == []


def actions_end(now: datetime) -> datetime:
    from ferriage.fleet.models import Permit

    permit = Permit.objects.filter(state="open").latest("serial")
    assert permit.open_until > now
    return permit.open_until


@pytest.mark.django_db
def test_worker_is_late_for_others_when_it_does_nothing_and_for_itself_when_it_fails(
    now: datetime,
) -> None:
    good = [rounds.Run(name=name, seconds=0.1) for name in lookout.ROOMS]
    rounds.note_round(good, now=now)
    assert lookout.facts(now=now + MINUTE, by_worker=False) == []
    (late,) = lookout.facts(now=now + MINUTE + SECOND, by_worker=False)
    assert (late.kind, late.details["parts"]) == ("worker_late", sorted(lookout.ROOMS))
    assert lookout.facts(now=now + MINUTE + SECOND, by_worker=True) == []

    bad = [*good[1:], rounds.Run(name="approvals", seconds=0.1, failure="OSError: disk")]
    rounds.note_round(bad, now=now + MINUTE)
    assert lookout.facts(now=now + MINUTE, by_worker=True) == []
    (failing,) = lookout.facts(now=now + MINUTE + SECOND, by_worker=True)
    assert (failing.details["parts"], failing.details["failure"]) == (
        ["approvals"],
        "OSError: disk",
    )


@pytest.mark.django_db
def test_worker_that_never_ran_is_late_for_who_asks(now: datetime) -> None:
    assert [f.kind for f in lookout.facts(now=now, by_worker=False)] == ["worker_late"]
    assert lookout.facts(now=now, by_worker=True) == []


@pytest.mark.django_db
def test_report_looks_in_the_place_of_a_worker_that_is_away(now: datetime) -> None:
    watch.stand_in(now)
    assert (WorkerRun.objects.count(), Alarm.objects.count()) == (0, 0)  # there never was one

    rounds.note([rounds.Run(name=name, seconds=0.1) for name in ("look", "fleet")], now=now)
    watch.stand_in(now + 59 * SECOND)
    assert Alarm.objects.count() == 0
    watch.stand_in(now + 61 * SECOND)
    assert Alarm.objects.get().kind == Alarm.Kind.WORKER_LATE


@pytest.mark.django_db
def test_round_that_changed_nothing_is_written_every_five_seconds(now: datetime) -> None:
    for seconds in range(11):
        run = rounds.Run(name="fleet", seconds=seconds)
        rounds.note_round([run], now=now + seconds * SECOND)
        assert WorkerRun.objects.get().ran_at == now + seconds // 5 * 5 * SECOND

    rounds.note_round([rounds.Run(name="fleet", seconds=1, failure="x")], now=now + 11 * SECOND)
    row = WorkerRun.objects.get()
    assert (row.failure, row.done_at) == ("x", now + 10 * SECOND)


@pytest.mark.django_db
def test_only_one_of_two_workers_gets_what_is_due(now: datetime) -> None:
    every = timedelta(seconds=10)

    assert rounds.claim("look", every=every, now=now)
    assert not rounds.claim("look", every=every, now=now + 9 * SECOND)
    assert rounds.claim("look", every=every, now=now + 10 * SECOND)
    assert not rounds.claim("look", every=every, now=now + 10 * SECOND)


# --- the hub ----------------------------------------------------------------------------------


class _Answers(BaseHTTPRequestHandler):
    status, signed = 401, True

    def do_GET(self) -> None:
        self.send_response(self.status)
        if self.signed:
            self.send_header(wire.HEADER_SIGNATURE, "c2lnbmVk")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Say nothing."""


@pytest.fixture
def hub(settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Answers]]:
    """Somebody who answers where the hub should, however slow this machine is."""
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 30)

    class Answers(_Answers):
        """Of this test."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        config = settings.FERRIAGE
        url = f"http://127.0.0.1:{server.server_port}"
        settings.FERRIAGE = replace(config, hub=replace(config.hub, url=url))
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "signed", "away"), [(401, True, False), (503, True, True), (502, False, True)]
)
def test_hub_is_asked_where_gateways_ask_it(
    yard: Yard, hub: type[_Answers], now: datetime, *, status: int, signed: bool, away: bool
) -> None:
    del yard
    hub.status, hub.signed = status, signed

    for seconds in (0, 30, 61, 90):
        watch.run(now + seconds * SECOND)

    opened = [row.kind for row in Alarm.objects.exclude(opened_at=None)]
    assert opened == (["hub_away"] if away else [])
    assert (WorkerRun.objects.get(name="hub").failure != "") is away


# --- telling ----------------------------------------------------------------------------------


@pytest.fixture
def told(settings: SettingsWrapper, tmp_path: Path, hub: type[_Answers]) -> Path:
    """A program that keeps what it is told, one JSON text a line."""
    del hub
    file = tmp_path / "told"
    program = tmp_path / "tell.py"
    program.write_text(
        "import json, pathlib, sys\n"
        f"file = pathlib.Path({str(file)!r})\n"
        "broken = file.with_suffix('.broken').exists()\n"
        "text = sys.stdin.read()\n"
        "if broken: sys.exit('no way out')\n"
        "with file.open('a') as out: out.write(json.dumps(text) + '\\n')\n"
    )
    config = settings.FERRIAGE
    command = (sys.executable, "-I", str(program))
    settings.FERRIAGE = replace(config, alarms=replace(config.alarms, command=command))
    return file


def _told(file: Path) -> list[list[str]]:
    texts = file.read_text().splitlines() if file.exists() else []
    return [
        [line for line in json.loads(text).splitlines() if not line.startswith("  ")]
        for text in texts
    ]


def test_alarm_is_told_once_when_it_opens_and_once_when_it_ends(
    gateway: EnrolledGateway, told: Path, now: datetime
) -> None:
    _report(gateway, now)
    lines = []
    for minutes in range(10):
        at = now + minutes * MINUTE
        if minutes in {3, 4, 5, 6, 7, 8, 9}:
            _report(gateway, at, sequence=minutes)
        watch.run(at)
        watch.run(at + 30 * SECOND)
        lines = _told(told)

    site = f"{django_settings.FERRIAGE.site.url}/staff/alarms/"
    assert lines == [
        ["ALARM gateway silent: alpha", site],
        ["ended gateway silent: alpha", site],
    ]


def test_alarm_that_could_not_be_told_is_told_later(yard: Yard, told: Path, now: datetime) -> None:
    del yard
    actions.raise_alarm(kind=Alarm.Kind.METERING, subject="gw_1", now=now, said="3 % too much")
    told.with_suffix(".broken").touch()
    watch.run(now)
    assert WorkerRun.objects.get(name="telling").failure != ""
    told.with_suffix(".broken").unlink()

    watch.run(now + 29 * SECOND)
    assert _told(told) == []
    watch.run(now + 39 * SECOND)
    assert [lines[0] for lines in _told(told)] == ["ALARM bytes do not add up: gw_1"]


@pytest.mark.django_db
def test_storm_of_alarms_is_one_message(now: datetime) -> None:
    for number in range(80):
        actions.raise_alarm(kind=Alarm.Kind.METERING, subject=f"gw_{number}", now=now)

    text = watch.message(list(Alarm.objects.all()), [])

    assert text.count("ALARM ") == 50
    assert "and 30 more" in text


def test_program_that_hangs_holds_up_no_round(
    yard: Yard,
    told: Path,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    settings: SettingsWrapper,
) -> None:
    del yard
    gate = told.with_suffix(".gate")
    os.mkfifo(gate)
    waits = f"import pathlib; pathlib.Path({str(gate)!r}).read_text()"
    config = settings.FERRIAGE
    command = (sys.executable, "-I", "-c", waits)
    settings.FERRIAGE = replace(config, alarms=replace(config.alarms, command=command))
    actions.raise_alarm(kind=Alarm.Kind.METERING, subject="gw_1", now=now)
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0)

    watch.run(now)
    watch.run(now + 40 * SECOND)
    assert Alarm.objects.get().told_opened_at is None
    gate.write_text("go on")
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 30)
    watch.run(now + 80 * SECOND)

    assert Alarm.objects.get().told_opened_at == now + 80 * SECOND


# --- cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gateways", [1, 3])
def test_looking_costs_the_same_however_many_gateways_there_are(
    yard: Yard,
    now: datetime,
    django_assert_num_queries: DjangoAssertNumQueries,
    gateways: int,
) -> None:
    line = yard.open_line()
    for number in range(gateways):
        yard.gateway(line, name=f"gateway {number}")
    PoolChange.objects.update(at=now - timedelta(hours=1))

    with django_assert_num_queries(10):
        facts = lookout.facts(now=now, by_worker=True)
    assert len(facts) == gateways
