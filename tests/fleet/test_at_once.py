"""Two writers at the same moment, each on a connection of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.fleet import actions, feed
from ferriage.fleet.models import Gateway, Pool, PoolChange
from own_database import at_once
from yard import OWNER, Yard, device, enrolment, report_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config


@pytest.fixture
def yard(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_yard: Callable[[datetime], Yard],
    now: datetime,
) -> Yard:
    return make_yard(now)


def test_two_writers_leave_a_log_without_gap_and_an_exact_digest(yard: Yard) -> None:
    yard.plan()
    pool = Pool.objects.get()

    def write(first: int) -> None:
        for number in range(first, first + 20):
            feed.append(pool=pool, items=[feed.FeedPut(device(number))], now=yard.now)

    results = at_once(
        *(partial(write, first) for first in (100, 200, 300)),
    )

    assert results == [None, None, None]
    pool = Pool.objects.get()
    revisions = list(PoolChange.objects.order_by("rev").values_list("rev", flat=True))
    assert revisions == list(range(1, 62))
    digest = wire.DIGEST_ZERO
    for number in (*range(100, 120), *range(200, 220), *range(300, 320)):
        digest = wire.digest_add(digest, device(number))
    assert (pool.revision, pool.digest) == (61, digest)


def test_one_token_makes_one_gateway_however_many_hosts_bring_it(yard: Yard) -> None:
    made = actions.create_gateway(
        name="alpha",
        place="XD",
        endpoint_host="",
        endpoint_port=51820,
        now=yard.now,
        actor=OWNER,
    )
    requests = [enrolment(made.token)[1] for _ in range(4)]

    results = at_once(
        *(partial(actions.enrol, request=request, now=yard.now) for request in requests)
    )

    answers = [result for result in results if isinstance(result, wire.EnrolAnswer)]
    refusals = [result for result in results if isinstance(result, actions.TokenRefused)]
    assert (len(answers), len(refusals)) == (1, 3)
    winner = results.index(answers[0])
    assert Gateway.objects.get().signing_key == requests[winner].signing_key


def test_one_of_two_agents_gets_the_lease(yard: Yard) -> None:
    gateway = yard.gateway().row

    results = at_once(
        *(
            partial(
                actions.take_report, gateway=gateway, report=report_of(instance=name), now=yard.now
            )
            for name in ("first", "second")
        )
    )

    kinds = {type(result) for result in results}
    assert kinds == {wire.ReportAnswer, actions.LeaseHeld}
    assert Gateway.objects.get().fence == 1
