"""Rule packs: what the law of one place answers, as versioned data with a source for each row.

Packs are data, not legal advice. A pack with any fault is refused whole.

Source: docs/reference/packs.md
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from ferriage.approvals.packfile import Authority, Document, Key, Kind, Row, Source, faults
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIRECTORY: Final = Path(__file__).with_name("packs")
_FAR: Final = date(9000, 1, 1)


class PackError(FerriageError):
    """A rule pack that cannot be used; the message names the file, the row and the fault."""

    slug = "pack-unusable"
    status = 503


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """A checked rule pack. `text` is the whole file it came from, `digest` its SHA-256."""

    place: str
    version: str
    digest: str
    text: str = field(repr=False)
    zone: ZoneInfo
    names: Mapping[str, str]
    authorities: Mapping[str, Authority]
    kinds: Mapping[str, Kind]
    sources: Mapping[str, Source]
    rows: tuple[Row, ...]
    invented: bool

    @cached_property
    def _index(self) -> Mapping[Key, tuple[tuple[datetime, Row], ...]]:
        index: defaultdict[Key, list[tuple[datetime, Row]]] = defaultdict(list)
        for row in sorted(self.rows, key=lambda row: row.effective_from):
            start = midnight(row.effective_from, self.zone)
            for key in row.answers():
                index[key].append((start, row))
        return {key: tuple(rows) for key, rows in index.items()}

    def row(self, key: Key, at: datetime) -> Row | None:
        """Return the row that answers a question at an instant, or None where none does."""
        found = None
        for start, row in self._index.get(key, ()):
            if start > at:
                break
            found = row
        return found

    def next_change(self, key: Key, at: datetime) -> datetime | None:
        """Return the first instant after `at` at which another row answers the question."""
        return next((start for start, _ in self._index.get(key, ()) if start > at), None)


@dataclass(frozen=True, eq=False)
class Packs:
    """The packs in force together, by place, and in `later` those that wait beside them.

    What waits may only take away: `evaluate` denies from its instant what it denies, and never
    allows what `by_place` denies.

    Source: docs/decisions/0010-packs-take-effect.md
    """

    by_place: Mapping[str, Pack]
    later: tuple[Later, ...] = ()

    @cached_property
    def at_once(self) -> Packs:
        """The same, with what waits denying already: for whatever would begin now."""
        long_since = datetime.min.replace(tzinfo=UTC)
        return Packs(
            self.by_place, tuple(replace(waiting, at=long_since) for waiting in self.later)
        )

    def with_pack(self, pack: Pack) -> Packs:
        """Return the packs with one in its place, and without what waits."""
        return Packs({**self.by_place, pack.place: pack})

    def jurisdiction(self, place: str) -> str:
        """Return whose law a place follows: its own pack's, else its country's."""
        return place if place in self.by_place else place[:2]

    def get(self, place: str) -> Pack | None:
        """Return the pack of the jurisdiction a place belongs to."""
        return self.by_place.get(self.jurisdiction(place))

    def zone(self, place: str) -> ZoneInfo:
        """Return the time zone of a place's authority; UTC where no pack says it."""
        pack = self.get(place)
        return pack.zone if pack else ZoneInfo("UTC")

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Every kind of approval by its code."""
        return {code: kind for pack in self.by_place.values() for code, kind in pack.kinds.items()}

    @cached_property
    def kind_places(self) -> Mapping[str, str]:
        """The place whose authority grants each kind."""
        return {code: place for place, pack in self.by_place.items() for code in pack.kinds}

    @cached_property
    def versions(self) -> dict[str, str]:
        """Version and digest of every pack, waiting ones too, as Decisions record them."""
        versions = {place: _named(pack) for place, pack in sorted(self.by_place.items())}
        for waiting in self.later:
            for place, pack in sorted(waiting.packs.by_place.items()):
                if _named(pack) != versions.get(place):
                    versions[f"{place} from {waiting.at:%Y-%m-%dT%H:%M:%SZ}"] = _named(pack)
        return versions


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """Packs that wait: from `at` on, what they deny is denied."""

    at: datetime
    packs: Packs


def _named(pack: Pack) -> str:
    return f"{pack.version} {pack.digest}"


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what versions are ordered by: numbers as numbers, so that .10 follows .9."""
    return tuple(
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.findall(r"\d+|\D+", version)
    )


@lru_cache(maxsize=4096)
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day begins in a zone, in UTC."""
    # Dates at the ends of the calendar would overflow; centuries away, the difference is none.
    clamped = min(max(day, date(2, 1, 1)), _FAR)
    return datetime.combine(clamped, time.min, tzinfo=zone).astimezone(UTC)


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day is over in a zone, in UTC."""
    return midnight(min(day, _FAR) + timedelta(days=1), zone)


def builtin_paths() -> tuple[Path, ...]:
    """Return the files of the packs that ship with Ferriage."""
    return tuple(sorted(_DIRECTORY.glob("*.toml")))


def demo_path() -> Path:
    """Return the pack of the invented place XD, which is not among the built-in ones."""
    return _DIRECTORY / "demo" / "XD.toml"


def load_builtin() -> Packs:
    """Load the packs that ship with Ferriage.

    Raises:
        PackError: One of them cannot be used.
    """
    return load()


def load(extra: Iterable[Path] = (), *, allow_user_assigned: bool = False) -> Packs:
    """Load the built-in packs and the operator's own.

    Args:
        extra: Files the operator added; none may speak for a place that has a pack already,
            or a file beside the program would override the law.
        allow_user_assigned: Accept invented places such as XD.

    Raises:
        PackError: A pack cannot be used.
    """
    packs: dict[str, Pack] = {}
    for path in (*builtin_paths(), *extra):
        pack = load_file(path, allow_user_assigned=allow_user_assigned)
        if pack.place in packs:
            raise PackError(f"{path}: there is a pack for {pack.place} already.")
        packs[pack.place] = pack
    return Packs(packs)


def load_file(path: Path, *, allow_user_assigned: bool = False) -> Pack:
    """Load and check one pack.

    Raises:
        PackError: Unreadable, not TOML, or not what docs/reference/packs.md asks for.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise PackError(f"{path}: not TOML: {error}.") from error
    return parse(text, name=str(path), allow_user_assigned=allow_user_assigned)


def parse(text: str, *, name: str, allow_user_assigned: bool = False) -> Pack:
    """Check the text of one pack; `name` is what a fault is said of.

    Raises:
        PackError: Not TOML, or not what docs/reference/packs.md asks for.
    """
    try:
        document = msgspec.convert(tomllib.loads(text), Document)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{name}: not TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise PackError(f"{name}: {error}.") from error
    found = list(faults(document, allow_user_assigned=allow_user_assigned))
    if found:
        raise PackError(f"{name}: {found[0]}.")
    return _build(document, text)


def digest_of(text: str) -> str:
    """Return the SHA-256 of a pack's file, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _build(document: Document, text: str) -> Pack:
    return Pack(
        place=document.place,
        version=document.version,
        digest=digest_of(text),
        text=text,
        zone=ZoneInfo(document.time_zone),
        names=document.names,
        authorities={item.code: item for item in document.authorities},
        kinds={item.code: item for item in document.kinds},
        sources={item.key: item for item in document.sources},
        rows=document.rows,
        invented=document.invented,
    )
