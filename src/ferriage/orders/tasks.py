from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.core.actors import Actor
from ferriage.orders import actions
from ferriage.orders.actions import taxes

if TYPE_CHECKING:
    from datetime import datetime

WORKER: Final = Actor("system", "worker")


def run(now: datetime) -> int:
    """Follow lapses, changes of plan and packs, expire orders, forget buyers, earn service used.

    Returns how many.

    What waited too long is refunded before anything goes on again, as customers were told.
    """
    followed = (
        actions.refund_due(now=now, actor=WORKER)
        + actions.resume_due(now=now, actor=WORKER)
        + actions.freeze_due(now=now, actor=WORKER)
        + actions.switch_due(now=now, actor=WORKER)
        + actions.drop_due(now=now, actor=WORKER)
    )
    expired = actions.expire_due(now=now, actor=WORKER)
    followed += actions.note_begun(now=now) + actions.forget_begun(now=now)
    followed += actions.count_use(now=now)
    return followed + expired + taxes.forget_buyers() + actions.recognise(now=now)
