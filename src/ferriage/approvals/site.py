"""What the register takes from the site's settings: its rule packs and its place for files."""

from __future__ import annotations

import hashlib
import ipaddress
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from django.conf import settings

from ferriage.approvals import packs as rule_packs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ferriage.approvals.packs import Packs
    from ferriage.config import Config

_RESERVED: Final = (".example", ".test", ".invalid", ".localhost")


def packs_in_force() -> Packs:
    """Return the built-in packs with those that the settings add, read once per process.

    Raises:
        PackError: One of them cannot be used, so nothing may be opened or sold.
    """
    config: Config = settings.FERRIAGE
    added = tuple(config.resolve(name) for name in config.approvals.packs)
    return _load(added, allow_user_assigned=not is_public(config))


def pack_files() -> Iterator[tuple[str, bytes]]:
    """Yield each pack in force with its place, as the file that it came from."""
    config: Config = settings.FERRIAGE
    by_digest = {pack.digest: place for place, pack in packs_in_force().by_place.items()}
    added = (config.resolve(name) for name in config.approvals.packs)
    for path in (*rule_packs.builtin_paths(), *added):
        data = path.read_bytes()
        place = by_digest.get(hashlib.sha256(data).hexdigest())
        # A file that changed since the process read it is not what is in force.
        if place is not None:
            yield place, data


def evidence_dir() -> Path:
    """Return the directory that holds the files of evidence."""
    config: Config = settings.FERRIAGE
    return config.data_dir / "evidence"


def is_public(config: Config) -> bool:
    """Tell whether a stranger could reach the site by its address or one it listens on.

    Reserved names, names without a dot and addresses that no router on the internet carries are
    not public; listening on every address is.
    """
    url = urlsplit(config.site.url).hostname or ""
    listened = (address.rsplit(":", 1)[0].strip("[]") for address in config.site.listen)
    return any(_is_public_host(host) for host in (url, *config.site.allowed_hosts, *listened))


def _is_public_host(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host and not host.rstrip(".").endswith(_RESERVED)
    return address.is_global or address.is_unspecified


@cache
def _load(added: tuple[Path, ...], *, allow_user_assigned: bool) -> Packs:
    return rule_packs.load(added, allow_user_assigned=allow_user_assigned)
