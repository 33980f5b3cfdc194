"""Pools in the back office: their size, a gateway that leaves or comes back, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse

from ferriage.fleet import actions
from ferriage.fleet.models import Pool, PoolGateway
from yard import OWNER

if TYPE_CHECKING:
    from django.test import Client

    from shop import Shop
    from yard import Yard


def test_owner_ends_a_draining(olga: Client, yard: Yard) -> None:
    gateway = yard.gateway(yard.open_line()).row
    actions.drain_gateway(gateway=gateway, now=yard.now, actor=OWNER)
    page, address = (
        reverse(name, args=[gateway.code]) for name in ("staff-gateway", "staff-gateway-undrain")
    )

    assert address in olga.get(page).content.decode()
    assert olga.post(address).status_code == 302

    gateway.refresh_from_db()
    assert gateway.draining_at is None
    assert address not in olga.get(page).content.decode()
    assert olga.post(address).status_code == 409


def test_owner_takes_a_gateway_off_a_line(olga: Client, yard: Yard) -> None:
    line = yard.open_line()
    gateway = yard.gateway(line).row
    address = reverse("staff-gateway-unassign", args=[gateway.code, line.code])

    shown = olga.get(reverse("staff-gateway", args=[gateway.code])).content.decode()
    assert address in shown
    assert "stop working" in olga.get(address).content.decode()
    assert olga.post(address).status_code == 302

    assert not PoolGateway.objects.exists()


def test_page_says_who_is_left_without_a_gateway_before_it_leaves(olga: Client, shop: Shop) -> None:
    gateway = shop.gateway.row
    pages = [
        reverse("staff-gateway-unassign", args=[gateway.code, shop.line.code]),
        reverse("staff-gateway-close", args=[gateway.code]),
    ]
    nobody = [olga.get(page).content.decode() for page in pages]
    bob = shop.holder()
    for _ in range(2):
        shop.device(bob)

    alone = [olga.get(page).content.decode() for page in pages]
    shop.yard.gateway(shop.line, name="beta")
    served = [olga.get(page).content.decode() for page in pages]

    assert ['class="notice' in page for page in nobody] == [False, False]
    said = "2 devices are left without any gateway:"
    assert [page.count(said) for page in (*alone, *served)] == [1, 1, 0, 0]
    assert all("Up to 2 devices have a file that names this gateway." in page for page in served)


def test_owner_sets_the_size_of_a_lines_pools(olga: Client, yard: Yard) -> None:
    line = yard.open_line()
    address = reverse("staff-line-size", args=[line.code])

    assert "0 of 60000" in olga.get(reverse("staff-line", args=[line.code])).content.decode()
    assert "65,535 only" in olga.post(address, {"limit": "70000"}).content.decode()
    assert olga.post(address, {"limit": "5000"}).status_code == 302

    assert Pool.objects.get(line=line).size_limit == 5000


def test_staff_see_who_refuses_a_device_and_why(olga: Client, shop: Shop) -> None:
    device = shop.device(shop.holder())
    entry = {"device": device.code, "reason": "ip4 is held by another"}
    PoolGateway.objects.update(refused=[entry], applied_epoch="e1", applied_rev=1000)

    about = reverse("staff-subscription", args=[device.subscription.code])
    page = olga.get(about).content.decode()
    gateway = olga.get(reverse("staff-gateway", args=[shop.gateway.row.code])).content.decode()

    assert "alpha refuses it: ip4 is held by another" in page
    assert "waiting 0 / 1" in page
    assert f"<code>{device.code}</code> ip4 is held by another" in gateway
