"""A plan's inner networks: what may be listed, and what files and gateways are told."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from ferriage import wire
from ferriage.devices.files import conf
from ferriage.devices.queries import placements
from ferriage.devices.routes import change_routes
from ferriage.fleet.models import Line, PoolChange, PoolCurrent
from ferriage.plans import actions as plans
from ferriage.plans import inner
from ferriage.plans.models import Offer, Plan
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from closed_office import Office
    from ferriage.devices.models import Device
    from shop import Shop

LISTED = ["10.20.0.0/16", "fd20::/64"]
WRONG = [
    ["10.20.0.1/16"],
    ["0.0.0.0/0"],
    ["::/0"],
    ["10.0.0.0/7"],
    ["10.64.0.0/16"],  # inside the tunnel's own range
    ["10.0.0.0/8"],  # around it
    ["fd7a:5eed:1::/64"],
    ["fd7a::/16"],
    ["127.0.0.0/8"],
    ["169.254.169.254/32"],
    ["10.20.0.0"],
    ["FD20::/64"],
    ["fd20:0::/64"],
    ["office"],
    ["10.20.0.0/16", "10.20.0.0/16"],
    ["10.20.0.0/16", "10.20.9.0/24"],
    [f"10.20.{number}.0/24" for number in range(17)],
    [20],
    [None],
]


def told(device: Device) -> wire.Device:
    row = PoolCurrent.objects.get(subject=device.code)
    return wire.decode(row.payload, wire.Put).device


def file_of(device: Device) -> list[str]:
    (placement,) = placements(device)
    text = conf(device=device, private_key="k", placement=placement)
    return [line for line in text.splitlines() if line.startswith("AllowedIPs")]


@pytest.mark.django_db
def test_listed_networks_stand_in_file_and_record(office: Office, now: datetime) -> None:
    plans.set_routes(plan=office.plan, routes=LISTED, now=now, actor=OWNER)
    device = office.device(office.active())
    device.subscription.plan.refresh_from_db()

    assert told(device).routes == tuple(LISTED)
    assert file_of(device) == [
        "AllowedIPs = 10.20.0.0/16, fd20::/64, 10.64.0.1/32, fd7a:5eed:1::1/128"
    ]


@pytest.mark.django_db
def test_internet_plan_keeps_the_whole_internet_in_the_tunnel(office: Office) -> None:
    device = office.device(office.active())

    assert told(device).routes == ()
    assert file_of(device) == ["AllowedIPs = 0.0.0.0/0, ::/0"]


@pytest.mark.django_db
def test_changed_networks_are_told_at_once_and_only_once(office: Office, now: datetime) -> None:
    device = office.device(office.active())

    change_routes(plan=office.plan, routes=LISTED, now=now, actor=OWNER)
    assert told(device).routes == tuple(LISTED)
    written = PoolChange.objects.count()
    change_routes(plan=office.plan, routes=LISTED, now=now, actor=OWNER)

    assert PoolChange.objects.count() == written


@pytest.mark.django_db
@pytest.mark.parametrize("routes", WRONG, ids=str)
def test_network_that_no_gateway_may_let_through_is_refused(
    office: Office, now: datetime, routes: list[object]
) -> None:
    if all(isinstance(text, str) for text in routes):
        with pytest.raises(plans.CatalogueWrong):
            plans.set_routes(plan=office.plan, routes=routes, now=now, actor=OWNER)  # type: ignore[arg-type]
    with pytest.raises(DatabaseError), transaction.atomic():
        Plan.objects.filter(pk=office.plan.pk).update(routes=routes)
    with pytest.raises(DatabaseError), transaction.atomic():
        Plan.objects.create(service=office.plan.service, name="Past every page", routes=routes)


@pytest.mark.django_db
@pytest.mark.parametrize("text", ['{"0": "10.20.0.0/16"}', '"10.20.0.0/16"', "7"])
def test_what_is_no_list_is_refused_by_the_database(office: Office, text: str) -> None:
    with (
        pytest.raises(DatabaseError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE plans_plan SET routes = %s WHERE id = %s", [text, office.plan.pk])


@pytest.mark.django_db
def test_inner_networks_are_not_for_the_public(shop: Shop, now: datetime) -> None:
    with pytest.raises(plans.CatalogueWrong, match="closed services"):
        change_routes(plan=shop.plan, routes=LISTED, now=now, actor=OWNER)
    with pytest.raises(DatabaseError, match="closed services"), transaction.atomic():
        Plan.objects.filter(pk=shop.plan.pk).update(routes=LISTED)

    unoffered = plans.create_plan(
        service=shop.service, name="Inner", routes=LISTED, now=now, actor=OWNER
    )
    with pytest.raises(plans.CatalogueWrong, match="closed services"):
        plans.add_offer(plan=unoffered, line=shop.line, now=now, actor=OWNER)
    with pytest.raises(DatabaseError, match="closed services"), transaction.atomic():
        Offer.objects.create(plan=unoffered, line=shop.line)


@pytest.mark.django_db
def test_line_of_a_plan_with_inner_networks_does_not_become_public(
    office: Office, now: datetime
) -> None:
    plans.set_routes(plan=office.plan, routes=LISTED, now=now, actor=OWNER)

    with pytest.raises(DatabaseError, match="closed services"), transaction.atomic():
        Line.objects.filter(pk=office.line.pk).update(customer_class="public")


NETWORKS = st.one_of(
    st.builds(
        lambda number, prefix: str(ipaddress.ip_network((number, prefix), strict=False)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, prefix: str(ipaddress.ip_network((number, prefix), strict=False)),
        st.integers(2**32, 2**128 - 1),
        st.integers(0, 128),
    ),
)


@given(st.lists(NETWORKS, max_size=18))
def test_what_passes_covers_nothing_of_the_tunnel_and_little_of_the_world(
    networks: list[str],
) -> None:
    tunnel = ("10.64.0.0/10", "fd7a:5eed:1::/48")
    if inner.fault(networks, tunnel=tunnel):
        return
    passed = [ipaddress.ip_network(text) for text in networks]
    share = sum(2.0**-network.prefixlen for network in passed)

    assert share <= 1 / 16
    assert [str(network) for network in passed] == networks
    assert not any(
        one.version == other.version and one.overlaps(other)
        for one in passed
        for other in map(ipaddress.ip_network, tunnel)
    )


@pytest.mark.django_db
def test_both_engines_judge_networks_alike(office: Office) -> None:
    """Ask the database itself about lists that the rule in Python passes or refuses."""

    @given(st.lists(NETWORKS, max_size=3))
    def judged_alike(networks: list[str]) -> None:
        wrong = inner.fault(networks, tunnel=("10.64.0.0/10", "fd7a:5eed:1::/48"))
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE plans_plan SET routes = %s WHERE id = %s",
                    [json.dumps(networks), office.plan.pk],
                )
        except DatabaseError:
            assert wrong
        else:
            assert not wrong

    judged_alike()
