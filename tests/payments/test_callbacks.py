"""The address that providers report to: durable before 200, and nothing kept of strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contract import URLS
from django.db import connection

from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.payments import accounts, actions, inbox
from ferriage.payments.models import InboxEvent, Payment
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import RawEvent
from stand_in import StandIn, StandInBooks, StandInWorld
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from django.http import HttpResponse
    from django.test import Client

ADDRESS = "/pay/standin/events"


@pytest.fixture
def world(tmp_path: Path, till: Till, monkeypatch: pytest.MonkeyPatch) -> StandInWorld:
    monkeypatch.setitem(registry.KINDS, "standin", StandIn)
    till.now = clock.now()
    made = StandInWorld(StandInBooks(tmp_path / "standin.db"))
    accounts.add_provider(
        slug="standin",
        label="Stand-in",
        mode="live",
        secrets=made.secrets,
        now=till.now,
        actor=OWNER,
    )
    return made


@pytest.fixture
def payment(world: StandInWorld, till: Till) -> Payment:  # noqa: ARG001 -- it is what pays
    return actions.start(
        order=till.order(), slug="standin", urls=URLS, now=till.now, actor=CUSTOMER
    )


def call(client: Client, raw: RawEvent) -> HttpResponse:
    headers = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in raw.headers.items()}
    return client.post(ADDRESS, raw.body, content_type="application/json", **headers)


def test_callback_is_kept_and_settles_at_once(
    client: Client, world: StandInWorld, payment: Payment, till: Till
) -> None:
    (raw,) = world.pay(payment, till.now)

    answers = [call(client, raw).status_code for _again in range(2)]

    payment.refresh_from_db()
    event = InboxEvent.objects.get()
    assert answers == [200, 200]
    assert (payment.outcome, event.outcome) == ("settled", "settled")
    assert event.raw["body"].encode() == raw.body
    assert event.raw["headers"]["x-signature"] == raw.headers["x-signature"]
    assert_sound()


def test_callback_without_a_signature_is_counted_and_not_kept(
    client: Client, world: StandInWorld, payment: Payment, till: Till
) -> None:
    (raw,) = world.pay(payment, till.now)

    answers = [call(client, RawEvent(raw.body, {}, till.now)).status_code for _again in range(3)]

    assert answers == [400] * 3
    assert InboxEvent.objects.count() == 0
    assert inbox.refused_since(till.now.date()) == {"standin": 3}


@pytest.mark.usefixtures("world")
def test_body_above_the_limit_is_not_read(client: Client) -> None:
    answer = client.post(ADDRESS, b"x" * (256 * 1024 + 1), content_type="application/json")

    assert answer.status_code == 413
    assert InboxEvent.objects.count() == 0


@pytest.mark.usefixtures("world")
def test_only_post_is_answered(client: Client) -> None:
    assert client.get(ADDRESS).status_code == 405


def test_provider_that_the_shop_does_not_have_is_not_there(client: Client, till: Till) -> None:
    assert till.order().state == "open"
    assert call(client, RawEvent(b"{}", {}, till.now)).status_code == 404


def test_account_out_of_use_is_still_listened_to(
    client: Client, world: StandInWorld, payment: Payment, till: Till
) -> None:
    (raw,) = world.pay(payment, till.now)
    assert payment.account is not None
    accounts.set_enabled(account=payment.account, enabled=False, now=till.now, actor=OWNER)
    later = world.secrets | {"key": "another"}
    accounts.add_provider(
        slug="standin", label="Next", mode="live", secrets=later, now=till.now, actor=OWNER
    )

    answer = call(client, raw)

    payment.refresh_from_db()
    assert (answer.status_code, payment.outcome) == (200, "settled")


def test_secrets_lie_sealed_in_the_database(world: StandInWorld) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_provideraccount")
        row = str(cursor.fetchall())

    assert world.secrets["key"] not in row
