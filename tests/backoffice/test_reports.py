"""Reports: what they say, and that none of them names a customer."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.accounts import actions as accounts
from ferriage.accounts.models import Account
from ferriage.approvals.site import packs_in_force
from ferriage.core.actors import CUSTOMER
from ferriage.core.codes import grouped
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.orders import actions as orders
from ferriage.plans.models import Subscription
from ferriage.reports import tables
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from shop import Shop
    from yard import Yard

pytestmark = pytest.mark.django_db


def _bytes(answer: Any) -> bytes:
    """Return a whole answer, a zip unpacked."""
    whole = b"".join(answer.streaming_content) if answer.streaming else answer.content
    if not answer.headers["Content-Type"].startswith("application/zip"):
        return bytes(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as pack:
        return b"\n".join(pack.read(name) for name in pack.namelist())


def _csv(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(_bytes(answer).decode())))


@pytest.fixture
def secrets(shop: Shop) -> list[str]:
    """Everything that names the shop's customers; each has bought, and has a device."""
    found = []
    for number in range(12):
        opened = accounts.open_account(now=shop.now, actor=CUSTOMER, place="XD")
        account = opened.account
        Account.objects.filter(pk=account.pk).update(label=f"Zhang Wei, floor {number}")
        orders.place(
            account=account,
            price=shop.prices[1],
            place="XD",
            now=shop.now,
            expires_at=shop.now + timedelta(days=3),
            actor=CUSTOMER,
        )
        device = shop.device(shop.extend(account, 1))
        Device.objects.filter(pk=device.pk).update(name=f"zhangs-telephone-{number}")
        found += [opened.number, grouped(opened.number), device.code, device.public_key]
        found += [device.ip4, device.ip6]
    found += Account.objects.values_list("label", flat=True)
    found += Account.objects.values_list("number_hash", flat=True)
    found += Device.objects.values_list("name", flat=True)
    found += Subscription.objects.values_list("code", flat=True)
    return found


def test_no_report_names_a_customer(olga: Client, shop: Shop, secrets: list[str]) -> None:
    line = shop.line
    addresses = [
        reverse("staff-reports"),
        reverse("staff-report-register"),
        *(reverse("staff-report-csv", args=[name]) for name in ("lines", "ends")),
        reverse("staff-lines-diagram"),
        *(
            reverse(name, args=[line.code])
            for name in ("staff-line-history", "staff-line-verdict", "staff-wizard")
        ),
        *(
            address + f"?place={place}"
            for address in (
                reverse("staff-report-authority"),
                reverse("staff-report-csv", args=["authority"]),
            )
            for place in tables.places(packs=packs_in_force())
        ),
    ]
    reports = {address: _bytes(olga.get(address, follow=True)) for address in addresses}
    reports["pack"] = _bytes(olga.post(reverse("staff-auditor-pack")))
    visitor = Client()
    for address in (reverse("transparency"), reverse("line", args=[line.code])):
        reports[address] = _bytes(visitor.get(address))

    named = [
        (address, secret)
        for address, report in reports.items()
        for secret in secrets
        if secret.encode() in report
    ]

    assert len(secrets) == 12 * 10
    assert all(len(report) > 50 for report in reports.values())
    assert named == []
    assert b"ord_" in reports["pack"]


def test_auditor_makes_the_pack_too(shop: Shop) -> None:
    auditor = logged_in(make_staff("ada", "auditor"))

    answer = auditor.post(reverse("staff-auditor-pack"))

    pack = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))  # type: ignore[attr-defined]
    assert pack.read("SEAL").decode().strip() == answer.headers["X-Seal"]
    assert shop.line.code in pack.read("register/lines.json").decode()
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="auditor-pack-2026-03-01.zip"'
    )


def test_register_of_lines_as_csv(olga: Client, yard: Yard) -> None:
    yard.plan("=1+1")
    line = yard.open_line("Open")

    rows = _csv(olga.get(reverse("staff-report-csv", args=["lines"])))

    assert [row["name"] for row in rows] == ["'=1+1", "Open"]
    assert rows[1] == {
        "line": line.code,
        "name": "Open",
        "operator": "Demo Lines Ltd",
        "register_number": "",
        "operate": "XD",
        "enter": "XD",
        "exit": "XD",
        "sell": "XD",
        "customers": "public",
        "use": "resale",
        "state": "open",
        "open_until": "2027-03-01T00:00:00+00:00",
        "approvals": "XD-PUBLIC-VPN XD-2026-17 granted",
    }


def test_calendar_of_ends_as_csv_and_page_say_the_same(olga: Client, yard: Yard) -> None:
    yard.open_line("Open")

    rows = _csv(olga.get(reverse("staff-report-csv", args=["ends"])))
    page = olga.get(reverse("staff-report-register"))

    assert [(row["at"], row["what"], row["text"], row["lines"]) for row in rows] == [
        ("2027-03-01T00:00:00+00:00", "approval", "XD-PUBLIC-VPN XD-2026-17", "Open"),
        ("2027-03-01T00:00:00+00:00", "permit", "Open", "Open"),
    ]
    assert rows[0]["renew_from"] == "2026-12-31T00:00:00+00:00"
    assert [end.text for end in page.context["ends"]] == [row["text"] for row in rows]
    assert "renew now" not in page.content.decode()


def test_authority_is_told_counts_and_none_below_ten(
    olga: Client, shop: Shop, secrets: list[str]
) -> None:
    del secrets
    place = {"place": "XD"}

    rows = _csv(olga.get(reverse("staff-report-csv", args=["authority"]), place))
    page = olga.get(reverse("staff-report-authority"), place)

    counts = {(row["what"], row["of"], row["state"]): row["count"] for row in rows}
    assert counts["lines", "", "open"] == "<10"
    assert counts["approvals", "XD-PUBLIC-VPN", "granted"] == "<10"
    assert counts["subscriptions", "", "in_force"] == "12"
    # Twelve orders and the line's own permit.
    assert counts["decisions", "2026-03", "allowed"] == "13"
    assert counts["decisions", "2026-03", "denied"] == "<10"
    assert counts["decisions", "2025-04", "allowed"] == "<10"
    assert [row.count for _text, row in page.context["rows"]] == [row["count"] for row in rows]
    assert shop.line.name not in _bytes(page).decode()


def test_subscription_that_was_cut_or_has_ended_is_not_counted(shop: Shop, now: datetime) -> None:
    held = [shop.holder(1) for _ in range(11)]
    orders.end_subscription(subscription=held[0], at=now, reason="Asked", now=now, actor=OWNER)

    def told(at: datetime) -> str:
        return next(row.count for row in tables.ledger("XD", now=at) if row.what == "subscriptions")

    assert told(now) == "10"
    assert told(now + timedelta(days=32)) == "<10"


def test_authority_hears_of_lines_that_touch_its_place_only(olga: Client, yard: Yard) -> None:
    for number in range(10):
        yard.plan(f"XD {number}")

    def planned(place: str) -> str:
        answer = olga.get(reverse("staff-report-csv", args=["authority"]), {"place": place})
        return next(row["count"] for row in _csv(answer) if row["state"] == "planned")

    assert (planned("XD"), planned("SE")) == ("10", "<10")


@pytest.mark.parametrize("place", ["", "ZZ", "NO"])
def test_place_without_a_ledger_is_not_found(olga: Client, yard: Yard, place: str) -> None:
    del yard
    for address in (
        reverse("staff-report-authority"),
        reverse("staff-report-csv", args=["authority"]),
    ):
        assert olga.get(address, {"place": place}).status_code == 404


def test_report_that_is_none_is_not_found(olga: Client) -> None:
    assert olga.get(reverse("staff-report-csv", args=["customers"])).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/staff/reports/register/",
        "/staff/reports/lines.csv",
        "/staff/reports/ends.csv",
        "/staff/reports/authority/?place=XD",
        "/transparency/",
    ],
)
def test_queries_of_reports_do_not_grow(olga: Client, yard: Yard, address: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            _bytes(olga.get(address))
        return len(queries)

    yard.open_line("one")
    one = count()
    for name in ("two", "three"):
        fleet.hold_line(line=yard.open_line(name), reason="Cut", now=yard.now, actor=OWNER)

    assert count() == one


@pytest.fixture(autouse=True)
def _evidence_beside_the_test(settings: SettingsWrapper, tmp_path: Path) -> None:
    """Let the site look for evidence where the yard puts it."""
    config = settings.FERRIAGE
    for key in config.data_dir.glob("*.key"):
        (tmp_path / key.name).write_bytes(key.read_bytes())
    settings.FERRIAGE = replace(config, site=replace(config.site, data_dir=str(tmp_path)))
