"""Who is behind the tunnels just now: held in memory only, and only while they are there.

A peer that sent nothing for a while is forgotten: WireGuard lets go of its endpoint and handshake
time, the kernel of its connections. Endpoints of the others outlive a crash of wireguard-go, so
nobody waits until his own program tries again; a disk never sees them.

Source: docs/explanation/presence.md
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from ferriage.agent import flows
from ferriage.agent.chunks import chunked
from ferriage.agent.clock import boot_seconds
from ferriage.agent.system import in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ferriage.agent.backend import Backend, Peer
    from ferriage.config import AgentConfig

log = structlog.get_logger()

_MOST_AT_ONCE: Final = 500
"""Forgotten per look and interface; the next look takes the next ones."""

_CHUNK: Final = 50
"""Forgotten in one request: taking a peer out holds up everybody's packets a little."""


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """A peer as it last moved, and since when (boot clock) it has not moved again."""

    endpoint: str
    handshake_at: int
    received_bytes: int
    since: float


class Presence:
    """Sightings of the peers of all interfaces of this host."""

    def __init__(
        self, config: AgentConfig, backend: Backend, *, clock: Callable[[], float] = boot_seconds
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._limit = config.forget_seconds
        run_dir = Path(config.run_dir)
        self._file = run_dir / "endpoints.json" if in_memory(run_dir) else None
        self._seen: dict[str, dict[str, Sighting]] = self._load()
        if self._file is None:
            log.warning("endpoints.not_saved", run_dir=str(run_dir), reason="it is not on tmpfs")

    def look(self, interface: str, peers: Mapping[str, Peer]) -> None:
        """Take over what was just read of a running interface, and forget who fell silent.

        Right after the reading: a peer that came back in between would have to try again.

        Raises:
            DataPlaneError: Not all could be forgotten; the next look goes on.
        """
        before, now = self._seen.get(interface, {}), self._clock()
        self._seen[interface] = seen = {
            key: _sighting(peer, before.get(key), now)
            for key, peer in peers.items()
            if peer.endpoint
        }
        self._backend.calm(interface, [key for key, peer in peers.items() if peer.keepalive])
        silent = [key for key, found in seen.items() if now - found.since > self._limit]
        for keys in chunked(silent[:_MOST_AT_ONCE], _CHUNK):
            self._forget(interface, {key: peers[key].allowed_ips for key in keys})
        self._save()

    def wake(self, interface: str, present: Collection[str]) -> None:
        """Call upon those who were there when the interface was lost; its peers are set again.

        Raises:
            DataPlaneError: WireGuard does not answer.
        """
        now = self._clock()
        endpoints = {
            key: found.endpoint
            for key, found in self._seen.get(interface, {}).items()
            if key in present and now - found.since <= self._limit
        }
        if not endpoints:
            return
        self._backend.wake(interface, endpoints)
        log.info("peers.woken", interface=interface, peers=len(endpoints))

    def _forget(self, interface: str, peers: dict[str, frozenset[str]]) -> None:
        """Forget peers; their addresses' connections first, so none of the next session's go."""
        flows.forget(ip.partition("/")[0] for addresses in peers.values() for ip in addresses)
        self._backend.renew(interface, peers)
        for key in peers:
            del self._seen[interface][key]
        log.info("peers.forgotten", interface=interface, peers=len(peers))

    # --- the file on tmpfs

    def _load(self) -> dict[str, dict[str, Sighting]]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, dict[str, Sighting]])
        except msgspec.DecodeError:  # of another release: worth one re-handshake, no more
            return {}

    def _save(self) -> None:
        if self._file is None:
            return
        temporary = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            temporary.touch(mode=0o600)
            temporary.write_bytes(msgspec.json.encode(self._seen))
            temporary.replace(self._file)
        except OSError as error:  # worth one re-handshake, no more
            log.warning("endpoints.not_saved", reason=str(error))


def _sighting(peer: Peer, before: Sighting | None, now: float) -> Sighting:
    """Return the peer's sighting; what we send to it is no sign of its life."""
    fresh = Sighting(peer.endpoint, peer.handshake_at, peer.received_bytes, now)
    if before is None:
        return fresh
    same = (before.handshake_at, before.received_bytes) == (peer.handshake_at, peer.received_bytes)
    return msgspec.structs.replace(fresh, since=before.since) if same else fresh
