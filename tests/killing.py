"""Killing a clerk before every single write of a step, and looking what the money came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clerks import KILLED
from ferriage.payments import tasks
from ferriage.payments.models import InboxEvent
from till import assert_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clerks import Clerks
    from till import Till

MOST_WRITES = 80


def kill_at_every_write(
    clerks: Clerks, till: Till, name: str, prepare: Callable[[], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Prepare, kill the clerk before its n-th write, repeat the step; for every n there is."""
    for write in range(1, MOST_WRITES):
        how = prepare() | {"now": till.now.isoformat()}
        first = clerks.act((name, how), die_at=write)
        assert_sound()
        tasks.run(till.now)
        assert InboxEvent.objects.filter(handled_at=None).count() == 0
        again = clerks.act((name, how))
        tasks.run(till.now)
        assert KILLED not in again
        assert_sound()
        yield how
        if first != [KILLED]:
            assert write > 2, "nothing was written, so nothing was tested"
            return
    pytest.fail("it never came to its end")
