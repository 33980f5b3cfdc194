"""No gateway is told a time that lies behind what the site did with it before."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Decision
from ferriage.fleet import sitetime
from yard import OWNER, SECOND

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.fleet.models import Gateway
    from yard import Yard

DAY = timedelta(days=1)
SECONDS = timedelta(seconds=1)


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    """Return one of a shop whose last Decision is of `now`."""
    return yard.gateway(yard.open_line()).row


def seen(gateway: Gateway, at: datetime) -> Gateway:
    gateway.last_seen_at = at
    return gateway


def test_time_stands_still_while_the_clock_is_behind_the_last_report(
    gateway: Gateway, now: datetime
) -> None:
    assert sitetime.told_to(seen(gateway, now - DAY), now) == now
    for ahead in (1, 59, 61, 600, 86_400):
        at = now + ahead * SECONDS
        assert sitetime.told_to(seen(gateway, at), now) == at


def test_longer_than_a_day_it_stands_still_only_where_a_decision_says_so(
    gateway: Gateway, now: datetime
) -> None:
    assert sitetime.told_to(seen(gateway, now + DAY + SECONDS), now) == now
    assert sitetime.told_to(seen(gateway, now), now - 2 * DAY) == now


def test_clock_that_two_people_called_right_is_told(gateway: Gateway, now: datetime) -> None:
    right = now - timedelta(hours=2)
    assert sitetime.told_to(seen(gateway, now), right) == now
    first = Decision.objects.order_by("sequence")[0]
    repair = approvals.propose_clock_repair(
        first_sequence=first.sequence, reason="It ran ahead.", now=right, actor=OWNER
    )
    approvals.confirm_clock_repair(repair=repair, now=right, actor=SECOND)

    assert sitetime.told_to(seen(gateway, now), right) == right


def test_clock_that_is_right_costs_no_question(
    gateway: Gateway, now: datetime, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        sitetime.told_to(seen(gateway, now), now)
        sitetime.note_behind(told=now, now=now)
