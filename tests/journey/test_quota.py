"""A quota from the site to the last packet: counted, used up, held, and there again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from world import WORLD4

from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import Newcomer, OpenShop

pytestmark = [pytest.mark.tunnel, pytest.mark.long]

SIZE = 1400
"""A ping's bytes each way."""
SMALL = 84
QUOTA = 1_000_000
MONTH_SECONDS = 75


def _pings(one: Newcomer, count: int) -> int:
    size = str(SIZE - 28)
    out = one.space.run(
        *("ping", "-n", "-c", str(count), "-i", "0.005", "-W", "1", "-s", size, WORLD4),
        check=False,
    )
    found = re.search(r"(\d+) received", out)
    return int(found[1]) if found else 0


def test_real_bytes_use_a_quota_up_and_the_next_month_lets_the_device_on(
    demo: OpenShop, newcomer: Callable[[], Newcomer]
) -> None:
    made: dict[str, str] = demo.office("metered", str(MONTH_SECONDS))
    one = newcomer()
    one.connect(made["conf"])
    eventually(lambda: one.laptop.ping(WORLD4), within=15)

    def used() -> Any:
        return demo.office("used", made["subscription"])

    def first_bytes() -> bool:
        # Small pings found out that the tunnel is up; all of them count too.
        small = int(sum(used()["months"])) - 2 * 300 * SIZE
        return small > 0 and small % SMALL == 0

    assert _pings(one, 300) == 300
    eventually(first_bytes, within=30, every=1)

    passed = _pings(one, 300)
    # Not held before its time: the last one may have gone out without an answer.
    assert 2 * (300 + passed + 1) * SIZE + 100 * SMALL >= QUOTA
    eventually(lambda: _pings(one, 1) == 0, within=20)
    assert b"Your data is used up" in one.laptop.fetch(WORLD4)[1]

    eventually(lambda: _pings(one, 1) == 1, within=MONTH_SECONDS + 15, every=1)
    eventually(lambda: len(used()["months"]) == 2, within=30, every=1)
    first, second = used()["months"]
    assert first >= QUOTA
    assert 0 < second < 100 * SIZE
    assert used()["alarms"] == []
