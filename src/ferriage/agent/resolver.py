"""The gateway's own DNS: writes unbound's configuration and keeps unbound running.

Customers who may pass, or whose term ended, get real answers at port 53. Where the line itself is
not open nothing is resolved but the shop's name, at another port that nft sends them to. No query
is logged.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog

from ferriage.agent.errors import DataPlaneError
from ferriage.agent.holdfile import inner_addresses, write_changed
from ferriage.agent.layout import HELD_DNS_PORT
from ferriage.agent.system import spawn, unconfined

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator

    from ferriage import wire
    from ferriage.agent.feed import Pool
    from ferriage.config import AgentConfig

log = structlog.get_logger()

_ANCHOR: Final = Path("/usr/share/dns/root.key")
_STOP_SECONDS: Final = 5

_HOST_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9-]+(\.[a-z0-9-]+)*")

_CONFIG: Final = """\
server:
    directory: "{run_dir}"
    chroot: ""
    username: "{user}"
    pidfile: "{pidfile}"
    use-syslog: no
    logfile: ""
    verbosity: 0
    log-queries: no
    log-replies: no
    do-daemonize: no
    ip-freebind: yes
    hide-identity: yes
    hide-version: yes
    qname-minimisation: yes
    prefetch: yes
{module}{interfaces}{names}{views}{forward}remote-control:
    control-enable: no
"""


def config_text(config: AgentConfig, pools: Iterable[Pool], *, user: str, anchor: bool) -> str:
    """Return unbound's configuration for these pools."""
    pools = tuple(pools)
    shops = [pool.permit.shop for pool in pools if pool.permit is not None]
    names = [record for shop in shops for record in _records(shop)]
    validating = anchor and not config.resolver_upstream
    return _CONFIG.format(
        run_dir=config.run_dir,
        pidfile=pid_path(config),
        user=user,
        module=_module(validating=validating),
        interfaces=_interfaces(inner_addresses(pools)),
        names=_lines("    local-data: '{}'", [(record,) for record in names]),
        views=_view(names),
        forward=_forward(config.resolver_upstream),
    )


def pid_path(config: AgentConfig) -> Path:
    """Return where unbound writes its process id."""
    return Path(config.run_dir) / "unbound.pid"


def _module(*, validating: bool) -> str:
    if validating:
        return f'    module-config: "validator iterator"\n    trust-anchor-file: "{_ANCHOR}"\n'
    return '    module-config: "iterator"\n'


def _lines(pattern: str, rows: Iterable[tuple[object, ...]]) -> str:
    return "".join(pattern.format(*row) + "\n" for row in rows)


def _interfaces(addresses: Iterable[str]) -> str:
    """Listen on both ports. No access-control line: one would override the view of a port."""
    text = ""
    for address in addresses:
        for port in (53, HELD_DNS_PORT):
            text += f"    interface: {address}@{port}\n"
            text += f"    interface-action: {address}@{port} allow\n"
        text += f"    interface-view: {address}@{HELD_DNS_PORT} held\n"
    return text


def _records(shop: wire.Shop) -> list[str]:
    """Return the shop's host name as records; one that is an address, or local, needs none."""
    host = urlsplit(shop.url).hostname or ""
    if not _HOST_NAME.fullmatch(host) or host == "localhost":
        return []
    kinds = {4: "A", 6: "AAAA"}
    return [
        f"{host}. 60 IN {kinds[ipaddress.ip_address(address).version]} {address}"
        for address in shop.addresses
    ]


def _view(names: Iterable[str]) -> str:
    data = _lines("    local-data: '{}'", [(record,) for record in names])
    return f'view:\n    name: "held"\n    local-zone: "." refuse\n{data}'


def _forward(upstream: Iterable[str]) -> str:
    servers = _lines("    forward-addr: {}", [(address,) for address in upstream])
    return f'forward-zone:\n    name: "."\n{servers}' if servers else ""


class Resolver:
    """unbound as a process of its own, which outlives the agent and is adopted by the next."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._path = Path(config.run_dir) / "unbound.conf"
        self._child: subprocess.Popen[bytes] | None = None

    def ensure(self, pools: Iterable[Pool]) -> None:
        """Run unbound with the configuration of these pools; restart it when that changed.

        Raises:
            DataPlaneError: It does not run.
        """
        pools = tuple(pools)
        if not self._config.unbound or not pools:
            return
        text = config_text(self._config, pools, user=_user(), anchor=_ANCHOR.exists())
        changed = write_changed(self._path, text.encode())
        running = self._running()
        if running and not changed:
            return
        if running:
            self._stop(running)
        self._start()

    def end(self) -> bool:
        """End our unbound, whoever started it; False when none runs."""
        running = self._running()
        if running:
            self._stop(running)
        return bool(running)

    def _running(self) -> int:
        """Return the process id of our unbound, or 0.

        Without its pid file it is looked for among all processes: a second one would bind the
        same ports without a word.
        """
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        self._child = None
        try:
            number = int(pid_path(self._config).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return next(filter(self._is_ours, _processes()), 0)
        return number if self._is_ours(number) else 0

    def _is_ours(self, number: int) -> bool:
        """Say whether a process has our configuration; a stale id may be anybody's by now."""
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            return str(self._path).encode() in command
        return False

    def _stop(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._running() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _start(self) -> None:
        output = Path(self._config.run_dir) / "unbound.log"
        pid_path(self._config).unlink(missing_ok=True)
        command = unconfined(self._config.unbound, "-d", "-c", str(self._path))
        self._child = spawn(*command, output=output)
        deadline = time.monotonic() + _STOP_SECONDS
        while not pid_path(self._config).exists():
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise DataPlaneError(f"unbound does not run; see {output}")
            time.sleep(0.01)
        log.info("resolver.started")


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _user() -> str:
    """Return the account unbound changes to; Debian's package makes one."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("unbound").pw_name
    return ""
