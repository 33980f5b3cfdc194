"""Whether this agent is the one that may change what runs, and how it knows.

The site gives one agent a lease, with a fence: a number that only grows. Who is refused changes
nothing more and keeps forwarding. A state directory that was copied or moved tells so by the
instance it was last used by; then the site is asked before anything is touched.

Source: docs/decisions/0047-one-agent.md
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

from ferriage.agent.errors import AgentError, AlreadyRunning

if TYPE_CHECKING:
    from pathlib import Path

    from ferriage import wire
    from ferriage.agent.store import Store

_FENCE: Final = "fence"
_INSTANCE: Final = "instance"
_LOCK: Final = "lock"


class FenceBehind(AgentError):
    """The site knows a lower fence than it gave us: its answer is of before our last one."""


class Lease:
    """This agent's lease. Without an answer of the site the last one holds, however long ago."""

    def __init__(self, store: Store, instance: str) -> None:
        self._store = store
        self._instance = instance
        self.fence = int(store.get(_FENCE, "0"))
        self.borrowed = store.get(_INSTANCE, instance) != instance
        self.frozen = self.borrowed

    def granted(self, answer: wire.ReportAnswer) -> None:
        """Take over an answer to our report: we may change things.

        Raises:
            FenceBehind: It is of before our last one; nothing may be changed.
        """
        if answer.fence < self.fence:
            self.frozen = True
            raise FenceBehind(
                f"The site's fence is {answer.fence} and ours is {self.fence}: its database is"
                " older than it was. Nothing is changed here until it has caught up."
            )
        if answer.fence != self.fence:
            self._store.put(_FENCE, str(answer.fence))
            self.fence = answer.fence
        self.frozen = False

    def refused(self) -> None:
        """Note that another agent has the lease."""
        self.frozen = True

    def settled(self) -> None:
        """Note that the state directory is ours: what runs was brought up from it."""
        if self.borrowed or not self._store.get(_INSTANCE):
            self._store.put(_INSTANCE, self._instance)
        self.borrowed = False


def is_locked(state_dir: Path) -> bool:
    """Tell whether an agent runs with a state directory; nothing in it is changed."""
    try:
        descriptor = os.open(state_dir / _LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_state(state_dir: Path) -> int:
    """Take the state directory for this process and return the descriptor that holds it.

    Raises:
        AlreadyRunning: Another process has it.
    """
    descriptor = os.open(state_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise AlreadyRunning(
            f"Another agent (process {holder}) runs with {state_dir}. One gateway, one agent:"
            " stop that one first; nothing was changed."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
