"""What customers are told before a line or their term ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.template.loader import render_to_string
from hypothesis import given, settings
from hypothesis import strategies as st

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.fleet import actions as fleet
from ferriage.plans.models import Subscription
from ferriage.web.portal import notices
from ferriage.web.portal.customer import COOKIE
from yard import OWNER

if TYPE_CHECKING:
    from django.test import Client

    from ferriage.web.portal.notices import Notice
    from shop import Shop

LAPSE = datetime(2027, 3, 1, tzinfo=UTC)
"""The yard's approval ends with 28 February 2027."""
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def told(subscription: Subscription, at: datetime, place: str = "XD") -> list[tuple[str, int, int]]:
    found = notices.of_subscription(
        Subscription.objects.select_related("plan").get(pk=subscription.pk), place=place, now=at
    )
    return [(notice.about, notice.step, notice.days) for notice in found]


@pytest.fixture
def two_years(shop: Shop) -> Subscription:
    """A term that runs past the approval, as one does whose approval was shortened."""
    return shop.holder(24)


def test_line_is_told_from_14_days_before_its_end_in_three_steps(two_years: Subscription) -> None:
    steps = {
        LAPSE - 14 * DAY - SECOND: [],
        LAPSE - 14 * DAY: [("line", 14, 14)],
        LAPSE - 7 * DAY - SECOND: [("line", 14, 8)],
        LAPSE - 7 * DAY: [("line", 7, 7)],
        LAPSE - DAY - SECOND: [("line", 7, 2)],
        LAPSE - DAY: [("line", 1, 1)],
        LAPSE - SECOND: [("line", 1, 1)],
        LAPSE: [],
    }

    assert {at: told(two_years, at) for at in steps} == steps


def test_renewal_of_the_approval_takes_the_notice_away(shop: Shop, two_years: Subscription) -> None:
    assert told(two_years, LAPSE - DAY) == [("line", 1, 1)]

    shop.approve_for_years()

    assert told(two_years, LAPSE - DAY) == []


def test_term_within_the_approval_is_told_of_its_own_end_alone(shop: Shop) -> None:
    month = shop.extend(shop.account(), 1, at=LAPSE - 40 * DAY)
    end = datetime(2027, 2, 20, tzinfo=UTC)

    assert told(month, end - 14 * DAY) == [("term", 14, 14)]
    assert told(month, end - SECOND) == [("term", 1, 1)]
    assert told(month, end) == []
    assert told(month, LAPSE - DAY) == []


def test_both_are_told_when_the_line_ends_just_before_the_term(shop: Shop) -> None:
    month = shop.extend(shop.account(), 1, at=datetime(2027, 2, 2, tzinfo=UTC))

    assert told(month, datetime(2027, 2, 28, tzinfo=UTC)) == [("line", 1, 1), ("term", 7, 2)]


def test_line_that_is_held_or_not_for_this_place_is_no_news(
    shop: Shop, two_years: Subscription
) -> None:
    assert told(two_years, LAPSE - DAY, place="SE") == []

    fleet.hold_line(line=shop.line, reason="Cable cut", now=shop.now, actor=OWNER)

    assert told(two_years, LAPSE - DAY) == []


@settings(deadline=None)
@given(left=st.timedeltas(timedelta(microseconds=-1), timedelta(days=40)))
def test_notice_is_there_exactly_in_the_last_14_days(left: timedelta) -> None:
    found: list[Notice] = list(notices.coming([], ends_at=LAPSE, now=LAPSE - left))

    assert bool(found) == (timedelta(0) < left <= 14 * DAY)
    assert all(notice.days - 1 < left / DAY <= notice.days for notice in found)
    assert all(left <= notice.step * DAY for notice in found)
    for notice in found:
        hours, minutes = -(-left // timedelta(hours=1)), -(-left // timedelta(minutes=1))
        assert notice.hours == (hours if left < DAY else 0)
        assert notice.minutes == (minutes if left < timedelta(hours=1) else 0)


def test_account_and_device_page_say_it(shop: Shop, client: Client) -> None:
    account = shop.account()
    subscription = shop.extend(account, 24)
    device = shop.device(subscription)
    at = LAPSE - 6 * DAY
    client.cookies[COOKIE] = accounts.start_session(account=account, now=at)

    with time_machine.travel(at, tick=True):
        pages = [client.get(f"/{page}/") for page in ("account", f"devices/{device.code}")]

    for page in pages:
        text = page.content.decode()
        assert text.count("The line XD public may be open for 6 days more.") == 1
        assert text.count("2027-03-01 00:00 UTC") >= 1
        assert "notice-warn" in text


@pytest.mark.parametrize(
    ("left", "says"),
    [
        (timedelta(minutes=15), "Your term ends in 15 minutes."),
        (timedelta(seconds=50), "Your term ends in 1 minute."),
        (timedelta(hours=5), "Your term ends in 5 hours."),
        (timedelta(days=1, hours=5), "Your term ends in 2 days."),
    ],
)
def test_last_hours_and_minutes_are_told_as_such(left: timedelta, says: str) -> None:
    told = list(notices.coming([], ends_at=LAPSE, now=LAPSE - left))

    page = render_to_string("portal/notices.html", {"notices": told})

    assert says in page


def test_account_far_from_any_end_is_told_nothing(shop: Shop, client: Client) -> None:
    account = accounts.open_account(now=shop.now, actor=CUSTOMER, place="XD").account
    shop.extend(account, 6)
    client.cookies[COOKIE] = accounts.start_session(account=account, now=shop.now)

    text = client.get("/account/").content.decode()

    assert "may be open for" not in text
    assert "Your term ends in" not in text
