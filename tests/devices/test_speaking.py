"""What gateways are told of a customer's language: little, and what was chosen last."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage import wire
from ferriage.core.actors import CUSTOMER
from ferriage.devices import actions, tasks
from ferriage.devices.speaking import GATHERED, speak
from ferriage.fleet.models import PoolChange, PoolCurrent

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.devices.models import Device
    from shop import Shop

SECOND = timedelta(seconds=1)


def language_of(device: Device) -> str:
    payload = PoolCurrent.objects.get(subject=device.code).payload
    return wire.decode(payload, wire.Put).device.language


def test_language_is_told_once_in_six_hours_and_the_last_choice_wins(
    shop: Shop, now: datetime
) -> None:
    subscription = shop.holder()
    devices = [shop.device(subscription) for _ in range(3)]
    account, before = subscription.account, PoolChange.objects.count()

    for nth in range(60):
        language = "zh-hans" if nth % 2 else "fa"
        speak(account=account, language=language, now=now + nth * SECOND)
        tasks.run(now + nth * SECOND)
    at_once = PoolChange.objects.count()
    tasks.run(now + GATHERED)
    told = PoolChange.objects.count()
    tasks.run(now + 2 * GATHERED)

    assert (at_once - before, told - at_once) == (0, 3)
    assert [language_of(device) for device in devices] == ["zh-hans"] * 3
    assert PoolChange.objects.count() == told


def test_language_that_was_changed_back_changes_nothing(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    before = PoolChange.objects.count()
    for language in ("fa", "en"):
        speak(account=device.subscription.account, language=language, now=now)

    tasks.run(now + GATHERED)

    assert (PoolChange.objects.count(), language_of(device)) == (before, "en")


def test_language_goes_along_with_what_is_told_anyway(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    device = shop.device(subscription)
    speak(account=subscription.account, language="fa", now=now)

    actions.refresh(subscription=subscription, now=now, actor=CUSTOMER)
    written = PoolChange.objects.count()
    tasks.run(now + GATHERED)

    assert (PoolChange.objects.count(), language_of(device)) == (written, "fa")


def test_speaking_asks_as_much_for_three_devices_as_for_one(shop: Shop, now: datetime) -> None:
    one, three = shop.holder(), shop.holder()
    for subscription in (one, three, three, three):
        shop.device(subscription)

    counts = []
    for subscription in (one, three):
        with CaptureQueriesContext(connection) as done:
            speak(account=subscription.account, language="fa", now=now)
        counts.append(len(done))

    assert counts[0] == counts[1]
