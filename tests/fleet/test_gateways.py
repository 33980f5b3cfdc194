from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from ferriage import wire
from ferriage.core.hashing import hash_secret
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions, queries, site
from ferriage.fleet.models import EnrolToken, Gateway, PoolGateway
from yard import OWNER, Yard, enrolment


def _waiting(yard: Yard, host: str = "192.0.2.1") -> actions.NewGateway:
    return actions.create_gateway(
        name="alpha",
        place="XD",
        endpoint_host=host,
        endpoint_port=51820,
        now=yard.now,
        actor=OWNER,
    )


def test_token_names_site_and_permit_key_and_is_stored_hashed(yard: Yard) -> None:
    made = _waiting(yard)

    prefix, url, secret, fingerprint = made.token.split(".")
    assert prefix == "fe1"
    assert base64.urlsafe_b64decode(url + "==").decode() == "http://shop.example:8000"
    assert fingerprint == wire.fingerprint(wire.public_key(site.permit_key()))
    assert EnrolToken.objects.get().token_hash == hash_secret("enrol", secret)


def test_enrolled_gateway_is_told_its_pools_and_the_sites_keys(yard: Yard, now: datetime) -> None:
    line = yard.plan()
    made = _waiting(yard)
    actions.assign(gateway=made.gateway, line=line, now=now, actor=OWNER)
    _key, request = enrolment(made.token)

    answer = actions.enrol(request=request, now=now)

    assert answer.gateway == made.gateway.code
    assert answer.permit_key == wire.public_key(site.permit_key())
    assert answer.feed_key != answer.permit_key
    assert answer.pools == (
        wire.PoolAssignment(
            pool=line.pools.get().code,
            line=line.code,
            interface=0,
            listen_port=51900,
            gateway4="10.64.0.1/10",
            gateway6="fd7a:5eed:1::1/48",
            mtu=1420,
        ),
    )


def test_enrolment_makes_the_gateway_active(yard: Yard, now: datetime) -> None:
    made = _waiting(yard)
    _key, request = enrolment(made.token)

    actions.enrol(request=request, now=now)

    gateway = Gateway.objects.get()
    assert gateway.state == Gateway.State.ACTIVE
    assert gateway.signing_key == request.signing_key
    assert (gateway.endpoint_host, gateway.endpoint_port) == ("198.51.100.7", 51900)
    assert AuditEntry.objects.filter(action="gateway.enrolled").count() == 1


def test_lost_answer_can_be_asked_for_again_with_the_same_keys(yard: Yard, now: datetime) -> None:
    made = _waiting(yard)
    _key, request = enrolment(made.token)
    first = actions.enrol(request=request, now=now)

    assert actions.enrol(request=request, now=now + timedelta(minutes=5)) == first
    assert AuditEntry.objects.filter(action="gateway.enrolled").count() == 1


def test_used_token_is_refused_to_another_host(yard: Yard, now: datetime) -> None:
    made = _waiting(yard)
    _key, request = enrolment(made.token)
    actions.enrol(request=request, now=now)
    before = Gateway.objects.values().get()

    with pytest.raises(actions.TokenRefused):
        actions.enrol(request=enrolment(made.token)[1], now=now)

    assert Gateway.objects.values().get() == before


@pytest.mark.parametrize("token", ["", "fe1", "fe1.a.b.c", "fe1...", "\0", "fe1.a.b.c.d"])
def test_wrong_token_is_refused_and_nothing_changes(yard: Yard, now: datetime, token: str) -> None:
    _waiting(yard)

    with pytest.raises(actions.TokenRefused):
        actions.enrol(request=enrolment(token)[1], now=now)

    assert Gateway.objects.get().state == Gateway.State.WAITING


def test_token_ends_after_an_hour(yard: Yard, now: datetime) -> None:
    made = _waiting(yard)
    _key, request = enrolment(made.token)

    with pytest.raises(actions.TokenRefused):
        actions.enrol(request=request, now=now + timedelta(hours=1))

    assert Gateway.objects.get().state == Gateway.State.WAITING


def test_new_token_ends_the_older_one(yard: Yard, now: datetime) -> None:
    made = _waiting(yard)

    token = actions.new_enrol_token(gateway=made.gateway, now=now, actor=OWNER)

    with pytest.raises(actions.TokenRefused):
        actions.enrol(request=enrolment(made.token)[1], now=now)
    assert actions.enrol(request=enrolment(token)[1], now=now).gateway == made.gateway.code


@pytest.mark.parametrize(
    "changes",
    [
        {"wireguard_key": "short"},
        {"endpoint_port": 70_000},
        {"endpoint_host": "x" * 256},
        {"endpoint_host": "192.0.2.1:1\nPostUp = id"},
        {"endpoint_host": "fe80::1%\nPostUp = id"},
        {"endpoint_host": "vpn.example\n"},
        {"boot_id": "x" * 37},
        {"agent_version": "\0"},
    ],
)
def test_enrolment_that_cannot_be_leaves_the_token_unused(
    yard: Yard, now: datetime, changes: dict[str, Any]
) -> None:
    made = _waiting(yard)

    with pytest.raises(actions.EnrolmentWrong):
        actions.enrol(request=enrolment(made.token, **changes)[1], now=now)

    assert EnrolToken.objects.get().used_at is None


def test_gateway_without_an_endpoint_is_refused_and_its_token_still_works(
    yard: Yard, now: datetime
) -> None:
    made = _waiting(yard, host="")

    with pytest.raises(actions.EndpointMissing, match="--endpoint-host"):
        actions.enrol(request=enrolment(made.token, endpoint_host="")[1], now=now)

    assert Gateway.objects.get().state == Gateway.State.WAITING
    assert not AuditEntry.objects.filter(action="gateway.enrolled").exists()
    actions.enrol(request=enrolment(made.token)[1], now=now)
    assert Gateway.objects.get().endpoint_host == "198.51.100.7"


def test_host_that_names_no_endpoint_takes_what_staff_said(yard: Yard, now: datetime) -> None:
    made = _waiting(yard)

    actions.enrol(request=enrolment(made.token, endpoint_host="", endpoint_port=0)[1], now=now)

    gateway = Gateway.objects.get()
    assert (gateway.endpoint_host, gateway.endpoint_port) == ("192.0.2.1", 51820)


def test_database_has_no_active_gateway_without_an_endpoint(yard: Yard) -> None:
    gateway = yard.gateway().row

    with pytest.raises(IntegrityError, match="fleet_gateway_endpoint"), transaction.atomic():
        Gateway.objects.filter(pk=gateway.pk).update(endpoint_host="")


def test_endpoint_is_corrected_with_the_ports_and_in_the_audit_log(
    yard: Yard, now: datetime
) -> None:
    gateway = yard.gateway(yard.plan("one"), yard.plan("two")).row

    actions.set_endpoint(gateway=gateway, host="vpn.example", port=51901, now=now, actor=OWNER)

    gateway.refresh_from_db()
    assert (gateway.endpoint_host, gateway.endpoint_port) == ("vpn.example", 51901)
    assert [pool.listen_port for pool in queries.assignments(gateway)] == [51901, 51902]
    entry = AuditEntry.objects.get(action="gateway.endpoint_set")
    assert entry.details == {"host": "vpn.example", "port": 51901}


def test_endpoint_without_a_port_keeps_the_ports(yard: Yard, now: datetime) -> None:
    gateway = yard.gateway(yard.plan()).row

    actions.set_endpoint(gateway=gateway, host="vpn.example", now=now, actor=OWNER)

    gateway.refresh_from_db()
    assert (gateway.endpoint_host, gateway.endpoint_port) == ("vpn.example", 51900)


@pytest.mark.parametrize(("host", "port"), [("a b", None), ("", None), ("vpn.example", 65_535)])
def test_endpoint_that_cannot_be_changes_nothing(
    yard: Yard, now: datetime, host: str, port: int | None
) -> None:
    gateway = yard.gateway(yard.plan("one"), yard.plan("two")).row

    with pytest.raises(actions.GatewayWrong):
        actions.set_endpoint(gateway=gateway, host=host, port=port, now=now, actor=OWNER)

    gateway.refresh_from_db()
    assert (gateway.endpoint_host, gateway.endpoint_port) == ("198.51.100.7", 51900)


def test_host_whose_last_line_would_have_no_port_is_told_the_highest(
    yard: Yard, now: datetime
) -> None:
    gateway = yard.gateway(yard.plan("one"), yard.plan("two")).row
    token = actions.new_enrol_token(gateway=gateway, now=now, actor=OWNER)
    _key, request = enrolment(token, endpoint_port=65_535)

    with pytest.raises(actions.GatewayWrong) as refused:
        actions.enrol(request=request, now=now)

    assert str(refused.value.remedy) == "The highest that fits is 65534."
    _key, request = enrolment(token, endpoint_port=65_534)
    assert [pool.listen_port for pool in actions.enrol(request=request, now=now).pools] == [
        *(65_534, 65_535)
    ]


def test_closed_gateway_has_no_endpoint_to_correct(yard: Yard, now: datetime) -> None:
    gateway = actions.close_gateway(gateway=yard.gateway().row, now=now, actor=OWNER)

    with pytest.raises(actions.GatewayClosed):
        actions.set_endpoint(gateway=gateway, host="vpn.example", now=now, actor=OWNER)


def test_each_line_gets_an_interface_and_port_of_its_own(yard: Yard) -> None:
    gateway = yard.gateway(yard.plan("one"), yard.plan("two"), yard.plan("three"))

    members = PoolGateway.objects.order_by("interface")

    assert [(member.interface, member.listen_port) for member in members] == [
        (0, 51900),
        (1, 51901),
        (2, 51902),
    ]
    assert len(queries.assignments(gateway.row)) == 3


@pytest.mark.parametrize("port", [51819, 51821])
def test_ports_follow_the_hosts_first_port(yard: Yard, now: datetime, port: int) -> None:
    made = _waiting(yard)
    for name in ("one", "two"):
        actions.assign(gateway=made.gateway, line=yard.plan(name), now=now, actor=OWNER)

    actions.enrol(request=enrolment(made.token, endpoint_port=port)[1], now=now)

    ports = PoolGateway.objects.order_by("interface").values_list("listen_port", flat=True)
    assert list(ports) == [port, port + 1]


def test_gateway_of_another_place_cannot_serve_a_line(yard: Yard, now: datetime) -> None:
    line = yard.plan()
    made = actions.create_gateway(
        name="abroad",
        place="SE",
        endpoint_host="192.0.2.1",
        endpoint_port=51820,
        now=now,
        actor=OWNER,
    )

    with pytest.raises(actions.NotAssignable, match="enters at XD"):
        actions.assign(gateway=made.gateway, line=line, now=now, actor=OWNER)

    assert PoolGateway.objects.count() == 0


def test_gateway_serves_a_line_once(yard: Yard, now: datetime) -> None:
    line = yard.plan()
    gateway = yard.gateway(line)

    with pytest.raises(actions.NotAssignable):
        actions.assign(gateway=gateway.row, line=line, now=now, actor=OWNER)


def test_closed_gateway_is_closed_for_good(yard: Yard, now: datetime) -> None:
    line = yard.plan()
    made = _waiting(yard)

    actions.close_gateway(gateway=made.gateway, now=now, actor=OWNER)

    with pytest.raises(actions.TokenRefused):
        actions.enrol(request=enrolment(made.token)[1], now=now)
    with pytest.raises(actions.GatewayClosed):
        actions.new_enrol_token(gateway=made.gateway, now=now, actor=OWNER)
    with pytest.raises(actions.GatewayClosed):
        actions.assign(gateway=made.gateway, line=line, now=now, actor=OWNER)


@pytest.mark.parametrize(
    "host",
    [
        *("vpn.example\nPostUp = id", "a b", "vpn.example:1", "-x", "localhost", "LocalHost."),
        *(
            "127.0.0.1",
            "::1",
            "0.0.0.0",  # noqa: S104 -- refused
            "::",
            "224.0.0.1",
            "169.254.1.1",
            "fe80::1",
        ),
    ],
)
def test_gateway_needs_a_host_that_can_stand_in_a_customers_file(yard: Yard, host: str) -> None:
    with pytest.raises(actions.GatewayWrong):
        actions.create_gateway(
            name="alpha",
            place="XD",
            endpoint_host=host,
            endpoint_port=51820,
            now=yard.now,
            actor=OWNER,
        )

    assert not Gateway.objects.exists()


@pytest.mark.parametrize("host", ["vpn.example", "VPN-1.example.", "192.0.2.1", "2001:db8::1"])
def test_hosts_that_customers_files_may_name(yard: Yard, host: str) -> None:
    made = actions.create_gateway(
        name="alpha",
        place="XD",
        endpoint_host=host,
        endpoint_port=51820,
        now=yard.now,
        actor=OWNER,
    )

    assert made.gateway.endpoint_host == host


def test_gateway_names_are_unique(yard: Yard) -> None:
    _waiting(yard)

    with pytest.raises(actions.GatewayWrong, match="alpha"):
        _waiting(yard)
