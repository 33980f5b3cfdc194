"""Days that staff give: with a reason, and within their limit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.devices.models import Device
from ferriage.orders import actions
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from ferriage.plans.queries import subscription_end
from till import Till, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.plans.models import Subscription

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def grant(
    till: Till,
    to: Subscription,
    days: int | None = None,
    *,
    most: int | None = 31,
    until: datetime | None = None,
    reason: str = "Line was slow",
) -> None:
    actions.grant_until(
        subscription=to,
        days=days,
        ends_at=until,
        most_days=most,
        reason=reason,
        now=till.now,
        actor=OWNER,
    )


@pytest.fixture
def held(till: Till) -> Subscription:
    return till.shop.holder()


def test_days_follow_the_term_and_cost_nothing(till: Till, held: Subscription) -> None:
    device = till.shop.device(held)
    before = subscription_end(held).at
    assert before is not None

    grant(till, held, 10)

    assert subscription_end(type(held).objects.get(pk=held.pk)).at == before + 10 * DAY
    assert Device.objects.get(pk=device.pk).hold_at == before + 10 * DAY
    period = Period.objects.get(kind="grant")
    assert (period.starts_at, period.reason) == (before, "Line was slow")
    assert books() == {}


def test_grant_until_a_date(till: Till, held: Subscription) -> None:
    end = subscription_end(held).at
    assert end is not None
    grant(till, held, until=end + 3 * DAY)
    assert Period.objects.get(kind="grant").ends_at == end + 3 * DAY
    with pytest.raises(plans.TermWrong):
        grant(till, held, until=end - DAY)


def test_limit_counts_what_was_given_within_a_year(till: Till, held: Subscription) -> None:
    grant(till, held, 20)
    with pytest.raises(actions.GrantTooLong, match="11 are left"):
        grant(till, held, 12)
    grant(till, held, 11)
    with pytest.raises(actions.GrantTooLong, match="0 are left"):
        grant(till, held, until=till.now + 90 * DAY)
    assert Period.objects.filter(kind="grant").count() == 2

    grant(till, held, 100, most=None)
    till.now += 365 * DAY
    grant(till, held, 31)


def test_grant_needs_a_reason_and_an_end(till: Till, held: Subscription) -> None:
    for values in ({"days": 3, "reason": " "}, {"days": 0}, {}):
        with pytest.raises(plans.TermWrong):
            grant(till, held, **values)  # type: ignore[arg-type]
