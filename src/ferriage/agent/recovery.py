"""How an agent gets at its cache when the host's disk is full, or when the file is damaged.

Neither may keep an agent from starting: it would hear of no removal, and after a reboot serve
nobody although the site is there. What was remembered is asked of the site again.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import structlog

from ferriage.agent.errors import AgentError
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

FILES: Final = ("state.sqlite3", "state.sqlite3-wal", "state.sqlite3-shm")
"""The cache in the state directory, with what SQLite puts beside it."""
DAMAGED: Final = tuple(f"{name}.damaged" for name in FILES)

_FULL: Final = "The cache could not be written when the agent started ({}). Make room, restart it."


class CacheUnreadable(AgentError):
    """The cache can neither be read nor be put aside."""


def recovered(path: Path) -> tuple[Store, str]:
    """Open the cache of the agent that holds the state directory's lock.

    Returns:
        The cache, and what is wrong with it in words: nothing, mostly. A damaged one was put
        aside, and this one is empty.

    Raises:
        CacheUnreadable: The file system does not let it be read.
    """
    try:
        return _sound(path)
    except sqlite3.DatabaseError as error:
        log.error("cache.damaged", reason=str(error))  # noqa: TRY400 -- told, not traced
        damage = str(error)
    try:
        for name, aside in zip(FILES, DAMAGED, strict=True):
            if path.with_name(name).exists():
                path.with_name(name).replace(path.with_name(aside))
        return Store(path), f"The cache was damaged ({damage}) and put aside; a new one is begun."
    except (OSError, sqlite3.Error) as error:
        raise CacheUnreadable(
            f"The cache {path} cannot be read ({damage}), and no new one be begun ({error})."
            " See whether the disk is well, can be written to, and has room."
        ) from None


def _sound(path: Path) -> tuple[Store, str]:
    try:
        store, trouble = Store(path), ""
    except sqlite3.OperationalError as error:
        # No room for the files beside it. Whoever has it alone needs none before a write.
        store, trouble = Store(path, alone=True), _FULL.format(error)
    try:
        store.check()
    except sqlite3.DatabaseError:
        store.close()
        raise
    return store, trouble
