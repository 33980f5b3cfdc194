"""How far a new gateway is, judged from what was reported and tried."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ferriage import wire
from ferriage.fleet import actions, newcomer
from ferriage.fleet.models import Gateway, PoolGateway
from yard import OWNER, EnrolledGateway, Yard, enrolment, report_of, status

if TYPE_CHECKING:
    from datetime import datetime

OWN = "203.0.113.5"


def _checks(**changes: dict[str, str]) -> tuple[wire.Check, ...]:
    """Return what an agent says whose host lacks nothing, but for the changes."""
    right: dict[str, dict[str, str]] = {
        "wireguard": {"value": "kernel"},
        "outside": {"value": OWN},
        "handshake": {"state": "unknown", "remedy": "no-handshake"},
        "ipv4": {"value": "wan"},
        "ipv6": {"value": "wan"},
        "forwarding": {},
        "resolver": {},
        "clock": {},
        "line": {"value": "ln_1"},
    }
    return tuple(
        wire.Check(**{"slug": slug, "state": "ok", **values})  # type: ignore[arg-type]
        for slug, values in {**right, **changes}.items()
    )


@pytest.fixture
def gateway(yard: Yard) -> EnrolledGateway:
    return yard.gateway(yard.plan())


def _report(gateway: EnrolledGateway, now: datetime, outward: str = OWN, **changes: Any) -> None:
    pool = PoolGateway.objects.select_related("pool").get(gateway=gateway.row).pool.code
    report = report_of(status(pool), **{"checks": _checks(), **changes})
    actions.take_report(gateway=gateway.row, report=report, outward=outward, now=now)


def _steps() -> dict[str, newcomer.Step]:
    row = Gateway.objects.order_by("pk")[0]
    members = list(row.memberships.select_related("pool__line"))
    return {step.slug: step for step in newcomer.steps(row, members)}


def _states() -> dict[str, str]:
    return {slug: step.state for slug, step in _steps().items()}


@pytest.mark.usefixtures("yard")
def test_gateway_that_nobody_set_up_waits_for_everything(now: datetime) -> None:
    actions.create_gateway(
        name="new", place="XD", endpoint_host="", endpoint_port=51820, now=now, actor=OWNER
    )

    assert set(_states().values()) == {"waiting"}
    assert len(_states()) == 11
    row, found = Gateway.objects.get(), _steps().values()
    assert newcomer.ticks(row, found, now + timedelta(minutes=59))
    assert not newcomer.ticks(row, found, now + timedelta(minutes=61))


def test_things_become_true_one_after_the_other(gateway: EnrolledGateway, now: datetime) -> None:
    enrolled = [slug for slug, state in _states().items() if state == "ok"]
    _report(gateway, now, checks=())
    accepted = [slug for slug, state in _states().items() if state == "ok"]
    _report(gateway, now, sequence=2)
    looked = [slug for slug, state in _states().items() if state != "ok"]
    Gateway.objects.update(probe="answered")

    assert enrolled == ["site"]
    assert accepted == ["site", "identity", "line"]
    # The file of a customer names another address than the one that the site sees.
    assert looked == ["outside", "handshake"]
    assert set(_states().values()) == {"ok"}
    assert not newcomer.ticks(Gateway.objects.get(), _steps().values(), now)


def test_customers_handshake_is_one_from_outside(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now, checks=_checks(handshake={}))

    assert _states()["handshake"] == "ok"


@pytest.mark.parametrize(
    ("probe", "others", "state", "remedy"),
    [
        ("", False, "unknown", "no-handshake"),
        ("silent", False, "unknown", "no-answer"),
        ("silent", True, "failed", "no-answer"),
        ("unsent", True, "unknown", "probe-unsent"),
    ],
)
def test_silence_is_a_fault_only_where_the_site_once_heard_an_answer(
    gateway: EnrolledGateway,
    yard: Yard,
    now: datetime,
    probe: str,
    others: bool,  # noqa: FBT001 -- a column of the table
    state: str,
    remedy: str,
) -> None:
    _report(gateway, now)
    if others:
        other = yard.gateway(name="beta")
        Gateway.objects.filter(pk=other.row.pk).update(probe="answered")
    Gateway.objects.filter(pk=gateway.row.pk).update(probe=probe)

    step = _steps()["handshake"]

    assert (step.state, step.remedy) == (state, remedy)


@pytest.mark.parametrize(
    ("outward", "own", "endpoint", "probe", "shown"),
    [
        (OWN, {"value": OWN}, OWN, "", ("ok", OWN, "", "")),
        (OWN, {"value": OWN}, "vpn.example", "", ("ok", OWN, "", "")),
        (OWN, {"value": OWN}, "198.51.100.9", "", ("unknown", OWN, "endpoint-differs", "")),
        (OWN, {"value": "10.0.0.5"}, OWN, "", ("unknown", OWN, "nat", "10.0.0.5")),
        (OWN, {"value": f"10.0.0.5 {OWN}"}, OWN, "", ("ok", OWN, "", "")),
        ("198.51.100.2", {"value": f"{OWN} 198.51.100.2"}, OWN, "", ("ok", OWN, "", "")),
        (OWN, {"value": "10.0.0.5"}, OWN, "answered", ("ok", OWN, "", "10.0.0.5")),
        ("", {"value": OWN}, OWN, "", ("ok", OWN, "", "")),
        (
            "",
            {"value": "10.0.0.5 10.0.1.5", "state": "unknown", "remedy": "not-public"},
            OWN,
            "",
            ("unknown", "10.0.0.5", "not-public", ""),
        ),
        ("", {"state": "unknown"}, OWN, "", ("unknown", "", "", "")),
    ],
)
def test_outside_address_is_what_the_site_sees(
    gateway: EnrolledGateway,
    now: datetime,
    outward: str,
    own: dict[str, str],
    endpoint: str,
    probe: str,
    shown: tuple[str, ...],
) -> None:
    Gateway.objects.update(endpoint_host=endpoint, probe=probe)
    _report(gateway, now, outward, checks=_checks(outside=own))

    step = _steps()["outside"]

    assert (step.state, step.value, step.remedy, step.inner) == shown


def test_every_fault_of_one_kind_is_shown(gateway: EnrolledGateway, now: datetime) -> None:
    faults = [
        wire.Check(slug="forwarding", state="failed", value=name, remedy="foreign-forward")
        for name in ("ip filter FORWARD", "ip6 filter FORWARD")
    ]
    _report(gateway, now, checks=(*_checks(), *faults))
    row = Gateway.objects.get()

    found = [step.value for step in newcomer.steps(row, []) if step.slug == "forwarding"]

    assert found == ["ip filter FORWARD", "ip6 filter FORWARD"]


def test_line_that_is_not_open_is_named(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now)
    PoolGateway.objects.update(line_open=False)

    step = _steps()["line"]

    assert (step.state, step.value, step.remedy) == ("failed", "XD public", "line-not-open")


def test_older_agent_is_accepted_and_what_it_cannot_say_is_not_known(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now, checks=(), format=wire.SPOKEN[0])

    steps = _steps()

    assert (steps["identity"].state, steps["identity"].remedy) == ("ok", "older-agent")
    assert {steps[slug].state for slug in ("wireguard", "clock", "outside")} == {"unknown"}


def test_agent_too_far_away_is_shown_as_refused(gateway: EnrolledGateway, now: datetime) -> None:
    actions.refuse_format(gateway=gateway.row, spoken=9, now=now)

    step = _steps()["identity"]

    assert (step.state, step.value, step.remedy) == ("failed", "9", "same-release")


@pytest.mark.usefixtures("gateway")
def test_page_of_an_old_gateway_does_not_tick(now: datetime) -> None:
    row, found = Gateway.objects.get(), _steps().values()

    assert newcomer.ticks(row, found, now + timedelta(minutes=59))
    assert not newcomer.ticks(row, found, now + timedelta(minutes=61))


def test_host_that_takes_over_begins_anew(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now)
    Gateway.objects.update(probe="answered", probed_at=now)
    token = actions.new_enrol_token(gateway=gateway.row, now=now, actor=OWNER)

    actions.enrol(request=enrolment(token)[1], now=now + timedelta(seconds=1))

    row = Gateway.objects.get()
    assert (row.checks, row.checked_at, row.probe, row.probed_at) == ([], None, "", None)
    assert (row.spoken, row.outward_address) == (None, "")


# --- what a report may say


def test_checks_that_come_once_stay_until_others_come(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now, checks=_checks(clock={"state": "failed", "value": "90"}))
    _report(gateway, now + timedelta(seconds=10), checks=(), sequence=2)

    row = Gateway.objects.get()

    assert row.checked_at == now
    assert [check["value"] for check in row.checks if check["slug"] == "clock"] == ["90"]


@pytest.mark.parametrize(
    "checks",
    [
        (wire.Check(slug="Clock", state="ok"),),
        (wire.Check(slug="x" * 25, state="ok"),),
        (wire.Check(slug="clock", state="ok", remedy="<b>"),),
        (wire.Check(slug="clock", state="ok"),) * 65,
    ],
)
def test_checks_that_no_agent_makes_spoil_the_report(
    gateway: EnrolledGateway, now: datetime, checks: tuple[wire.Check, ...]
) -> None:
    with pytest.raises(actions.ReportWrong):
        _report(gateway, now, checks=checks)

    assert Gateway.objects.get().checks == []


def test_long_value_is_cut(gateway: EnrolledGateway, now: datetime) -> None:
    _report(gateway, now, checks=(wire.Check(slug="ipv4", state="ok", value="\0" + "x" * 999),))

    assert Gateway.objects.get().checks[0]["value"] == "x" * 200


def test_what_an_older_agent_does_not_look_at_is_no_step(
    gateway: EnrolledGateway, now: datetime
) -> None:
    _report(gateway, now)
    before = _states()
    full = wire.Check(slug="connections", state="failed", value="9 / 10", remedy="many-connections")
    _report(gateway, now, sequence=2, checks=(*_checks(), full))

    assert "connections" not in before
    assert _states() == {**before, "connections": "failed"}
