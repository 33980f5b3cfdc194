"""The law in force on this site, and what the register takes from its settings.

The packs in force are those that staff accepted, kept in the database with their whole text, so
that an upgrade of the program changes no verdict by itself.

Source: docs/decisions/0010-packs-take-effect.md
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from django.conf import settings

from ferriage.approvals import packs as rule_packs
from ferriage.approvals.models import PackVersion
from ferriage.approvals.packfile import is_user_assigned
from ferriage.approvals.packs import Later, Pack, PackError, Packs
from ferriage.core.compiled import Compiled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ferriage.config import Config

GRACE: Final = timedelta(days=7)
"""How long a version that nobody accepted waits before what it denies is denied."""

_RESERVED: Final = (".example", ".test", ".invalid", ".localhost")


@dataclass(frozen=True, slots=True)
class Waiting:
    """The newest version of a pack that nobody accepted yet.

    `counts_at` is when it closes what it denies, counted from the first version that came after
    the accepted one, or an upgrade a week would put it off for ever.
    """

    place: str
    digest: str
    counts_at: datetime


_Row = tuple[str, str, datetime, int | None]


def packs_in_force() -> Packs:
    """Return what staff accepted, with what waits in `later`. One query; parsed once a process.

    Raises:
        PackError: One of them, or a file of the settings, cannot be used, so nothing may be
            opened or sold.
    """
    packs_on_file()
    return _law(_rows())


def packs_on_file() -> Packs:
    """Return the built-in packs with those that the settings add, read once per process.

    They name places and kinds on pages; what is allowed is asked of `packs_in_force`.

    Raises:
        PackError: One of them cannot be used.
    """
    config: Config = settings.FERRIAGE
    added = _files(config.path.parent, config.approvals.packs)
    return _load(added, allow_user_assigned=not is_public(config))


def is_nowhere(place: str) -> bool:
    """Tell whether no country can have this code, and no rule pack of this shop invents it.

    Raises:
        PackError: One of the packs cannot be used.
    """
    return is_user_assigned(place) and place not in packs_on_file().by_place


def waiting() -> tuple[Waiting, ...]:
    """Return what waits for an owner's word, by place."""
    _accepted, waits = _sorted(_rows())
    return tuple(waits[place] for place in sorted(waits))


def pack_of(digest: str) -> Pack:
    """Return a pack that came to this shop, by the digest of its text.

    Raises:
        PackError: It cannot be used, or is not what came.
    """
    return _pack(digest)


def pack_files() -> Iterator[tuple[str, bytes]]:
    """Yield each pack in force with its place, as the file that came to this shop."""
    digests = [pack.digest for pack in packs_in_force().by_place.values()]
    for row in PackVersion.objects.filter(digest__in=digests).order_by("place"):
        yield row.place, row.text.encode()


def evidence_dir() -> Path:
    """Return the directory that holds the files of evidence."""
    config: Config = settings.FERRIAGE
    return config.data_dir / "evidence"


def evidence_key_path() -> Path:
    """Return the file of the key that seals evidence."""
    config: Config = settings.FERRIAGE
    return config.evidence_key_path


def is_public(config: Config) -> bool:
    """Tell whether a stranger could reach the site by its address or one it listens on.

    Reserved names, names without a dot and addresses that no router on the internet carries are
    not public; listening on every address is.
    """
    return _reached(config.site.url, config.site.allowed_hosts, config.site.listen)


@lru_cache(maxsize=8)
def _reached(address: str, hosts: tuple[str, ...], listen: tuple[str, ...]) -> bool:
    url = urlsplit(address).hostname or ""
    listened = (one.rsplit(":", 1)[0].strip("[]") for one in listen)
    return any(_is_public_host(host) for host in (url, *hosts, *listened))


def _is_public_host(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host and not host.rstrip(".").endswith(_RESERVED)
    return address.is_global or address.is_unspecified


# --- what was accepted, and what waits --------------------------------------------------------


_CAME: Final = Compiled(
    0,
    lambda: PackVersion.objects.order_by("pk").values_list(
        "place", "digest", "came_at", "acceptance"
    ),
)


def _rows() -> tuple[_Row, ...]:
    """Return what came, in order; a shop that went public forgets the invented place it tried."""
    found = tuple(_CAME())
    if not is_public(settings.FERRIAGE):
        return found
    return tuple(row for row in found if not is_user_assigned(row[0]))


def _sorted(rows: tuple[_Row, ...]) -> tuple[dict[str, str], dict[str, Waiting]]:
    """Return the digest in force and what waits, each by place."""
    accepted: dict[str, str] = {}
    waits: dict[str, Waiting] = {}
    for place, digest, came_at, acceptance in rows:
        if acceptance is not None:
            accepted[place] = digest
            waits.pop(place, None)
        else:
            before = waits.get(place)
            counts_at = before.counts_at if before else came_at + GRACE
            waits[place] = Waiting(place, digest, counts_at)
    return accepted, waits


@lru_cache(maxsize=8)
def _law(rows: tuple[_Row, ...]) -> Packs:
    accepted, waits = _sorted(rows)
    in_force = {place: _pack(digest) for place, digest in accepted.items()}
    later = []
    for instant in sorted({item.counts_at for item in waits.values()}):
        due = [item for item in waits.values() if item.counts_at <= instant]
        newer = {item.place: _pack(item.digest) for item in due}
        later.append(Later(instant, Packs({**in_force, **newer})))
    return Packs(in_force, tuple(later))


@lru_cache(maxsize=256)
def _pack(digest: str) -> Pack:
    row = PackVersion.objects.get(digest=digest)
    if rule_packs.digest_of(row.text) != digest:
        raise PackError(f"The rule pack {row} in the database is not the one that came.")
    return rule_packs.parse(row.text, name=str(row), allow_user_assigned=True)


@lru_cache(maxsize=8)
def _files(beside: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the packs that the settings name, found once a process like what they hold."""
    return tuple((beside / name).resolve() for name in names)


@cache
def _load(added: tuple[Path, ...], *, allow_user_assigned: bool) -> Packs:
    return rule_packs.load(added, allow_user_assigned=allow_user_assigned)
