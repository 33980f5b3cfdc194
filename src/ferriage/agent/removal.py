"""Takes a gateway down: whatever an agent made on this host goes, and the host is as before.

Nothing else of ours does that: agents come and go, and tunnels stay.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.agent import backend, host, recovery
from ferriage.agent.lease import lock_state
from ferriage.agent.nft import Nft
from ferriage.agent.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ferriage.config import Config

_RUN_FILES: Final = (
    *("hold.jsonl", "endpoints.json", "sysctl.json"),
    *("unbound.conf", "unbound.log", "unbound.pid", "metrics.prom"),
)
_STATE_FILES: Final = (
    *("identity.json", "signing.key", "wireguard.key", "lock"),
    *recovery.FILES,
    *recovery.DAMAGED,
)


def remove(config: Config, *, forget: bool) -> Iterator[str]:
    """Take this host's gateway down, yielding a sentence for each thing that was done.

    Tunnels go first and the rules last, so that no customer's packet passes unasked meanwhile.

    Args:
        forget: Delete identity and keys too, after which nobody can bring this gateway back.

    Raises:
        AlreadyRunning: An agent runs, and would make everything again.
        DataPlaneError: Something could not be taken away; repeat it.
    """
    state_dir = config.resolve(config.agent.state_dir)
    with _locked(state_dir):
        yield from _tunnels(config)
        if Resolver(config.agent).end():
            yield "Ended the resolver."
        yield from (f"Put back {setting}." for setting in host.put_back(config.agent.run_dir))
        if host.forget_routes(config.agent.interface_prefix):
            yield "Took away the rules of routing."
        tables = Nft(config.agent)
        if tables.there():
            tables.remove()
            yield f"Took away nft's tables {tables.table} and {tables.guard}."
        _delete(Path(config.agent.run_dir), _RUN_FILES)
        if forget and _delete(state_dir, _STATE_FILES):
            yield f"Deleted identity and keys in {state_dir}."


def _tunnels(config: Config) -> Iterator[str]:
    chosen = backend.choose(config.agent)
    for name in host.interfaces(config.agent.interface_prefix):
        chosen.drop(name)
        yield f"Took away interface {name} and its tunnels."


@contextlib.contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    """Keep agents away meanwhile; without a directory there is none."""
    if not state_dir.is_dir():
        yield
        return
    lock = lock_state(state_dir)
    try:
        yield
    finally:
        os.close(lock)


def _delete(directory: Path, names: Iterable[str]) -> bool:
    """Delete files of ours, then their directory if it is empty; False when none was there."""
    there = [path for name in names if (path := directory / name).exists()]
    for path in there:
        path.unlink()
    with contextlib.suppress(OSError):
        directory.rmdir()
    return bool(there)
