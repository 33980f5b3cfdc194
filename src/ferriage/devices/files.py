"""Files that every WireGuard client accepts, and their picture."""

from __future__ import annotations

import base64
import hashlib
import io
import ipaddress
import re
from typing import TYPE_CHECKING, Final

import segno

if TYPE_CHECKING:
    from ferriage.devices.models import Device
    from ferriage.devices.queries import Placement
    from ferriage.fleet.models import Line

CLIENT_MTU: Final = 1280
KEEPALIVE_SECONDS: Final = 25
_LONGEST_VERSION: Final = 13
_DEVICE_PART: Final = 5
_LINE_PART: Final = 3
_CODE_PART: Final = 5


def conf(*, device: Device, private_key: str, placement: Placement, reachable: bool = False) -> str:
    """Return a wg-quick file with only the keys that every client reads, and no comments.

    Args:
        reachable: Keeps the way in open ("I must be reachable from inside").
    """
    lines = [
        "[Interface]",
        f"PrivateKey = {private_key}",
        f"Address = {device.ip4}/32, {device.ip6}/128",
        f"DNS = {', '.join(placement.dns)}",
        f"MTU = {CLIENT_MTU}",
        "",
        "[Peer]",
        f"PublicKey = {placement.server_key}",
        f"AllowedIPs = {', '.join(_allowed_ips(placement))}",
        f"Endpoint = {_endpoint(placement.endpoint_host, placement.endpoint_port)}",
    ]
    if reachable:
        lines.append(f"PersistentKeepalive = {KEEPALIVE_SECONDS}")
    return "\n".join(lines) + "\n"


def _allowed_ips(placement: Placement) -> list[str]:
    """Return what the device sends into the tunnel: the internet, or its plan's inner networks.

    With these goes the gateway's own inner address, where DNS and the hold page are answered.
    """
    if not placement.routes:
        return ["0.0.0.0/0", "::/0"]
    hosts = (ipaddress.ip_network(address) for address in placement.dns)
    return [*placement.routes, *map(str, hosts)]


def file_name(*, device: Device, line: Line) -> str:
    """Return the tunnel's name without ending: at most 15 safe characters.

    It begins like the device's name, then like the line's, and goes on with 25 bits of a hash of
    both: enough to tell apart what one customer holds.
    """
    begun = [_plain(device.name, _DEVICE_PART), _plain(line.name, _LINE_PART)]
    both = f"{device.code} {line.code}".encode()
    code = base64.b32encode(hashlib.sha256(both).digest()).decode().lower()
    return "-".join([*(filter(None, begun) if any(begun) else ["vpn"]), code[:_CODE_PART]])


def _plain(name: str, most: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:most].strip("-")


def qr_png(text: str) -> bytes:
    """Return a PNG of a QR code that decodes to the text byte for byte.

    Level M where it stays within version 13, which phones read from a screen, else level L.
    """
    code = segno.make_qr(text, error="m", boost_error=False)
    if int(code.version) > _LONGEST_VERSION:
        code = segno.make_qr(text, error="l", boost_error=False)
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=6, border=4)
    return picture.getvalue()


def _endpoint(host: str, port: int) -> str:
    try:
        if ipaddress.ip_address(host).version == 6:  # noqa: PLR2004 -- the IP version
            return f"[{host}]:{port}"
    except ValueError:
        pass
    return f"{host}:{port}"
