"""The WireGuard peers of the pools' interfaces: what was last read, and what is to be changed.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from ferriage.agent import host, status
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ferriage import wire
    from ferriage.agent.backend import Backend
    from ferriage.agent.feed import Pool
    from ferriage.config import AgentConfig

log = structlog.get_logger()


class Changes(NamedTuple):
    """Keys of peers to remove, and peers to set with their addresses."""

    remove: list[str]
    add: dict[str, tuple[str, ...]]


class Peers:
    """The peers of every interface of ours. `probe_key` is a peer of the site's own, or empty."""

    def __init__(self, config: AgentConfig, backend: Backend, *, probe_key: str) -> None:
        self._prefix = config.interface_prefix
        self._backend = backend
        self._presence = Presence(config, backend)
        self._present: dict[str, dict[str, str]] = {}
        self._not_taken: dict[str, dict[str, str]] = {}
        self.aside: dict[str, str] = {}
        """Why which interfaces are not as they should be; the others do without them."""
        self.astray: list[str] = []
        """Pools whose interface had lost its rules of routing, at the last look."""
        self.probe_key = probe_key
        self.handshake_seen = False

    def interface(self, pool: Pool) -> str:
        """Return the name of a pool's WireGuard interface on this host."""
        return f"{self._prefix}{pool.assignment.interface}"

    def of(self, name: str) -> Mapping[str, str]:
        """Return an interface's peers as they were last read: addresses, as one text, by key.

        There are none that could be reached while the interface is not as it should be.
        """
        return {} if name in self.aside else self._present[name]

    def known(self) -> dict[str, Mapping[str, str]]:
        """Return what was last read of every interface."""
        return dict(self._present)

    def customers(self, pool: Pool) -> int:
        """Return how many peers of a pool are devices."""
        present = self._present.get(self.interface(pool), {})
        return len(present) - (self.probe_key in present)

    def look(self, pools: Iterable[Pool], *, private_key: str) -> list[str]:
        """Bring every interface up, read its peers, and return the names of those made anew.

        One that cannot be brought up stands aside, and is tried again at the next look.
        """
        before, self.aside, self.astray, ways = self.aside, {}, [], host.Ways()
        made = [name for pool in pools if (name := self._look(pool, private_key, ways))]
        for name, reason in self.aside.items() - before.items():
            log.error("interface.aside", interface=name, reason=reason)
        return made

    def _look(self, pool: Pool, private_key: str, ways: host.Ways) -> str:
        name = self.interface(pool)
        try:
            fresh = self._bring_up(pool, name, private_key, ways)
        except DataPlaneError as error:
            self._stand_aside(pool, name, error)
            if host.missing([name]):
                self._present.pop(name, None)
                return ""
            fresh = False  # it stands as it was, and whoever is removed has to go from it
        try:
            peers = self._backend.peers(name)
        except DataPlaneError as error:
            self._stand_aside(pool, name, error)
            self._present.pop(name, None)
            return ""
        if not fresh:
            self._presence.look(name, peers)
        self._present[name] = {
            pool.own_key(key): status.in_one(peer.allowed_ips) for key, peer in peers.items()
        }
        self.handshake_seen = self.handshake_seen or any(
            peer.handshake_at for key, peer in peers.items() if key != self.probe_key
        )
        return name if fresh else ""

    def _bring_up(self, pool: Pool, name: str, private_key: str, ways: host.Ways) -> bool:
        link, number = pool.link(name, private_key), pool.assignment.interface
        fresh = self._backend.ensure(link)
        known = not fresh and name in self._present
        if not (known and ways.lead(link, number)):
            if known:
                self.astray.append(pool.assignment.pool)
            host.route(link, number)
            log.info("interface.ready", interface=name, fresh=fresh)
        return fresh

    def _stand_aside(self, pool: Pool, name: str, error: DataPlaneError) -> None:
        port = pool.assignment.listen_port
        self.aside[name] = f"Pool {pool.assignment.pool} has no {name} at UDP port {port}: {error}"

    def wake(self, name: str) -> None:
        """Give the peers of an interface that was made anew the endpoints that they had."""
        self._presence.wake(name, self._present[name])

    def changes(
        self,
        pool: Pool,
        before: Iterable[wire.Device] | None = None,
        puts: Iterable[str] | None = None,
    ) -> Changes:
        """Return what is to be changed: in the whole pool, or for the devices named."""
        present = self._present.get(self.interface(pool), {})
        if before is None or puts is None:
            # Before the first snapshot nobody knows who belongs here; no packet passes meanwhile.
            keys, devices = set(present if pool.epoch else ()), list(pool.usable())
        else:
            keys = {device.public_key for device in before} & present.keys()
            devices = [pool.devices[name] for name in puts if name not in pool.refused]
        wanted = {device.public_key: status.allowed_ips(device) for device in devices}
        if self.probe_key and before is None:
            wanted.setdefault(self.probe_key, ())
        remove = [key for key in keys if key not in wanted]
        add = {key: ips for key, ips in wanted.items() if present.get(key) != status.in_one(ips)}
        return Changes(remove, add)

    def are_news(self, pool: Pool, changes: Changes) -> bool:
        """Tell whether they are more than what the back end refused before."""
        if self.interface(pool) in self.aside:
            return False
        refused = self._not_taken.get(pool.assignment.pool, {})
        keys = {pool.devices[name].public_key for name in refused if name in pool.devices}
        return bool(changes.remove or changes.add.keys() - keys)

    def apply(self, pool: Pool, changes: Changes) -> None:
        """Change the interface's peers, and note which the back end refused.

        Raises:
            DataPlaneError: It did not answer.
        """
        if not changes.remove and not changes.add:
            return
        name = self.interface(pool)
        if name in self.aside and name not in self._present:
            return
        refused = self._backend.apply(name, remove=changes.remove, add=changes.add)
        present = self._present.setdefault(name, {})
        for key in changes.remove:
            present.pop(key, None)
        taken = {key: ips for key, ips in changes.add.items() if key not in refused}
        present.update({key: status.in_one(ips) for key, ips in taken.items()})
        ids = {d.public_key: d.id for d in pool.usable()} if refused else {}
        self._not_taken[pool.assignment.pool] = {
            ids[key]: reason for key, reason in refused.items() if key in ids
        }

    def not_taken(self, code: str) -> Mapping[str, str]:
        """Return why the back end refused which devices of a pool."""
        return self._not_taken.get(code, {})
