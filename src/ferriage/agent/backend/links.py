"""What both back ends do alike: the link around WireGuard, and changes in chunks."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from ferriage.agent.chunks import chunked
from ferriage.agent.errors import ChangeRefused, DataPlaneError
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ferriage.agent.backend import Link

T = TypeVar("T")

log = structlog.get_logger()

CHUNK: Final = 500
"""Most peers in one request; bigger ones hold up a live client's packets."""

KERNEL: Final = "wireguard"
USERSPACE: Final = "tun"
"""How the kernel calls the links of the two back ends."""


def kind(name: str) -> str:
    """Return what kind of link has this name; empty text when there is none."""
    found = json.loads(run("ip", "-d", "-j", "link", "show", "dev", name, check=False) or "[{}]")
    if not found or "ifname" not in found[0]:
        return ""
    return str(found[0].get("linkinfo", {}).get("info_kind", "physical"))


def make_way(name: str, *, wanted: str) -> bool:
    """Take away a link of this name that the other back end has made; True when there was one.

    A host that changed its kernel, or its settings, brings its tunnels up by the other back end.

    Raises:
        DataPlaneError: Somebody else's link has the name.
    """
    found = kind(name)
    if found in {"", wanted}:
        return False
    if found not in {KERNEL, USERSPACE}:
        raise DataPlaneError(
            f"The name {name} is taken by a link of kind {found}, which is not ours. Take it away,"
            " or set another agent.interface_prefix."
        )
    log.warning("interface.replaced", interface=name, was=found, now=wanted)
    remove(name)
    return True


def remove(name: str) -> None:
    """Take a link of ours away; wireguard-go ends by itself when its link goes."""
    if kind(name) in {KERNEL, USERSPACE}:
        run("ip", "link", "delete", "dev", name)


def _let_have_ipv6(name: str) -> None:
    """Let a link of ours have IPv6 addresses, also where the host has turned IPv6 off.

    Customers' packets of both families go through the tunnel, whatever becomes of them there.
    """
    setting = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    try:
        if setting.read_text(encoding="ascii").strip() != "0":
            setting.write_text("0", encoding="ascii")
    except OSError as error:
        raise DataPlaneError(
            f"{name} cannot have IPv6 addresses: {error.strerror}. If this host's kernel was"
            " started without IPv6 (ipv6.disable=1), start it with: no packet leaves for that."
        ) from error


def configure(link: Link) -> None:
    """Give a link its addresses and MTU, and set it up.

    Raises:
        DataPlaneError: The host does not let it be.
    """
    _let_have_ipv6(link.name)
    commands = [f"address replace {address} dev {link.name}" for address in link.addresses]
    commands.append(f"link set dev {link.name} mtu {link.mtu} up")
    run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")


def clamped(private_key: str) -> str:
    """Return a private key as WireGuard keeps it and shows it.

    Setting a key that only looks different would end every session.
    """
    key = bytearray(base64.b64decode(private_key))
    key[0] &= 248
    key[31] = key[31] & 127 | 64
    return base64.b64encode(key).decode("ascii")


def send_each(
    changes: Iterable[tuple[str, T]], send: Callable[[Sequence[T]], None]
) -> dict[str, str]:
    """Send changes in chunks and return the keys not taken, with reasons.

    Args:
        changes: Each with the key of its peer. Taken twice, one does what it does once.
        send: Raises `ChangeRefused` when WireGuard does not take something of it.
    """
    refused: dict[str, str] = {}
    for chunk in chunked(changes, CHUNK):
        refused |= _send(chunk, send)
    return refused


def send_all(changes: Iterable[tuple[str, T]], send: Callable[[Sequence[T]], None]) -> None:
    """Send changes in chunks; one that is refused keeps no other back.

    Raises:
        DataPlaneError: Not all were taken; all were tried.
    """
    for reason in send_each(changes, send).values():
        raise DataPlaneError(reason)


def _send(chunk: Sequence[tuple[str, T]], send: Callable[[Sequence[T]], None]) -> dict[str, str]:
    """Send a chunk; when refused, halve it until the bad record stands alone."""
    try:
        send([change for _, change in chunk])
    except ChangeRefused as error:
        if len(chunk) == 1:
            return {chunk[0][0]: str(error)}
        middle = len(chunk) // 2
        return _send(chunk[:middle], send) | _send(chunk[middle:], send)
    except DataPlaneError as error:  # of no record's making: halving would only ask again
        return {key: str(error) for key, _ in chunk}
    return {}
