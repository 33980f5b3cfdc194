"""Who this gateway is: its keys, the site's pinned keys, and how it came by them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ferriage import __version__, wire
from ferriage.agent import client
from ferriage.agent.clock import boot_id
from ferriage.agent.errors import AgentError, NotEnrolled
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.config import Config

__all__ = ["AgentError", "EnrolToken", "Identity", "enrol", "load", "parse_token"]

CAPABILITIES = ("kernel", "userspace")
_FINGERPRINT_LENGTH = 32


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What enrolment gave; `instance` tells copies of the state directory apart."""

    gateway: str
    permit_key: str
    feed_key: str
    site_url: str
    signing_key: str
    wireguard_key: str
    instance: str


class EnrolToken(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a one-time token `fe1.<site url>.<secret>.<permit key fingerprint>`."""

    text: str
    site_url: str
    fingerprint: str


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    """identity.json: nothing secret but the salt of `instance`."""

    gateway: str
    permit_key: str
    feed_key: str
    site_url: str
    salt: str


def parse_token(text: str) -> EnrolToken:
    """Take an enrolment token apart.

    Raises:
        AgentError: It is not one, or was cut when copied.
    """
    parts = text.strip().split(".")
    if len(parts) != 4 or parts[0] != "fe1" or len(parts[3]) != _FINGERPRINT_LENGTH:  # noqa: PLR2004 -- the four parts above
        raise AgentError("This is not an enrolment token. Copy the whole line that begins fe1.")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        site_url = base64.urlsafe_b64decode(padded).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise AgentError("This enrolment token is damaged. Copy it again.") from error
    if urlsplit(site_url).scheme not in {"http", "https"}:
        raise AgentError("This enrolment token names no site. Copy it again.")
    return EnrolToken(text=text.strip(), site_url=site_url.rstrip("/"), fingerprint=parts[3])


def enrol(config: Config, *, token: str, endpoint_host: str, endpoint_port: int) -> str:
    """Make this host a gateway of the site that made the token, and return the gateway's code.

    The keys are written before the site is asked, so a lost answer can be repeated with them.

    Args:
        endpoint_host: Where customers' tunnels reach this host, name or address; empty leaves
            what the site has.
        endpoint_port: UDP port of the first WireGuard interface.

    Raises:
        Declined: The site refused; slug `wire.ENDPOINT_MISSING`: nobody has named an endpoint.
        AgentError: Enrolled before, a bad token, or not the site that the token names.
    """
    parsed = parse_token(token)
    state_dir = config.resolve(config.agent.state_dir)
    if (state_dir / "identity.json").exists():
        gateway = load(config).gateway
        raise AgentError(
            f"This host is enrolled as {gateway}. Where tunnels reach it is changed on the shop's "
            "machine by `ferriage gateway endpoint`. "
            "To start over: `ferriage agent remove --forget`."
        )
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    signing_key = _key_file(state_dir / "signing.key", wire.new_private_key)
    wireguard_key = _key_file(state_dir / "wireguard.key", _new_wireguard_key)
    request = wire.EnrolRequest(
        format=wire.FEED_FORMAT,
        token=parsed.text,
        signing_key=wire.public_key(signing_key),
        wireguard_key=wireguard_public(wireguard_key),
        boot_id=boot_id(),
        endpoint_host=endpoint_host,
        endpoint_port=endpoint_port,
        agent_version=__version__,
        capabilities=CAPABILITIES,
    )
    answer, now = asyncio.run(
        client.enrol(parsed.site_url, request, signing_key, fingerprint=parsed.fingerprint)
    )
    _save(state_dir, answer, now)
    return answer.gateway


def load(config: Config) -> Identity:
    """Read the identity of this gateway.

    Raises:
        NotEnrolled: There is none.
    """
    state_dir = config.resolve(config.agent.state_dir)
    try:
        saved = msgspec.json.decode((state_dir / "identity.json").read_bytes(), type=_Saved)
        signing_key = (state_dir / "signing.key").read_text(encoding="ascii")
        wireguard_key = (state_dir / "wireguard.key").read_text(encoding="ascii")
    except FileNotFoundError:
        raise NotEnrolled(
            "This host is not enrolled. Run `ferriage agent enrol TOKEN`;"
            " staff make the token on the gateways page."
        ) from None
    return Identity(
        gateway=saved.gateway,
        permit_key=saved.permit_key,
        feed_key=saved.feed_key,
        site_url=saved.site_url,
        signing_key=signing_key,
        wireguard_key=wireguard_key,
        instance=_instance(saved.salt, state_dir),
    )


def wireguard_public(private: str) -> str:
    """Return the public half of a WireGuard private key, both base64."""
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _new_wireguard_key() -> str:
    return base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()


def _save(state_dir: Path, answer: wire.EnrolAnswer, now: float) -> None:
    saved = _Saved(
        gateway=answer.gateway,
        permit_key=answer.permit_key,
        feed_key=answer.feed_key,
        site_url=answer.site_url.rstrip("/"),
        salt=secrets.token_hex(16),
    )
    store = Store(state_dir / "state.sqlite3")
    store.save_assignments(answer.pools, answer.hub_url)
    store.save_clock(now)
    store.put("instance", _instance(saved.salt, state_dir))
    store.close()
    _write_private(state_dir / "identity.json", msgspec.json.encode(saved))


def _instance(salt: str, state_dir: Path) -> str:
    """A copied state directory, on this host or another, is another instance."""
    machine = Path("/etc/machine-id")
    name = machine.read_text(encoding="ascii").strip() if machine.exists() else ""
    place = f"{salt} {name} {os.uname().nodename} {state_dir} {state_dir.stat().st_ino}"
    return hashlib.sha256(place.encode()).hexdigest()[:32]


def _key_file(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        _write_private(path, make().encode())
    return path.read_text(encoding="ascii")


def _write_private(path: Path, data: bytes) -> None:
    """Write whole or not at all, readable by the owner only, on disk before it returns."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
