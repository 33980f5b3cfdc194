"""What the worker does for the register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.approvals.actions import receive_packs
from ferriage.approvals.site import packs_on_file
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    from datetime import datetime

_WORKER: Final = Actor("system", "worker")


def run(now: datetime) -> int:
    """Receive the rule packs that came with this release or its settings; they wait.

    Returns:
        How many came.
    """
    return len(receive_packs(packs=packs_on_file(), now=now, actor=_WORKER))
