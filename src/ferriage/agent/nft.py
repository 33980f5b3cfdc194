"""Reading and writing our two nft tables with nft(1): one process per batch."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ferriage.agent import layout, plane
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ferriage.agent.plane import Key, Plane, Step, Value
    from ferriage.config import AgentConfig

_SET: Final = re.compile(r"^\t(?:set|map) (\w+) \{\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_ELEMENTS: Final = re.compile(r"elements = \{(.*)\}", re.DOTALL)
_COMMENT: Final = re.compile(r'^\tcomment "([^"]*)"', re.MULTILINE)
_MARK: Final = re.compile(r"0x([0-9a-f]{8})")
_DURATION: Final = re.compile(r"(\d+)(d|h|ms|m|s)")
_SECONDS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LIMIT: Final = re.compile(r"rate over (\d+) (\w+)/second burst (\d+) (\w+)")
_BYTES: Final = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20, "gbytes": 1 << 30}
_COUNTER: Final = re.compile(r"counter packets \d+ bytes (\d+)")


class Observed(NamedTuple):
    """Our table as it was read: its comment, its elements, and bytes per counting element."""

    comment: str
    plane: Plane
    counters: dict[str, dict[int, int]]


class Nft:
    """Our tables. Rules of others are neither read nor changed."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self.table = config.table
        self.guard = f"{config.table}_guard"

    def install(self, comment: str) -> None:
        """Make the tables, or refill the rules of those that are there and keep all elements.

        Raises:
            DataPlaneError: nft refuses, or is not there.
        """
        text = layout.text(
            table=self.table,
            comment=comment,
            hold_port=self._config.hold_port,
            allow_networks=self._config.allow_networks,
        )
        run("nft", "-f", "-", stdin=text)

    def there(self) -> bool:
        """Say whether one of our tables is there."""
        lines = run("nft", "list", "tables", "inet").splitlines()
        return bool({f"table inet {name}" for name in (self.table, self.guard)} & set(lines))

    def remove(self) -> None:
        """Take both tables away."""
        tables = (self.table, self.guard)
        script = "".join(f"add table inet {t}\ndelete table inet {t}\n" for t in tables)
        run("nft", "-f", "-", stdin=script)

    def apply(self, steps: Iterable[Step], now: float) -> None:
        """Take all steps in one transaction.

        Raises:
            DataPlaneError: None was taken.
        """
        text = plane.render(steps, table=self.table, guard=self.guard, now=now)
        if text:
            run("nft", "-f", "-", stdin=text)

    def read(self, now: float) -> Observed | None:
        """Read our table; None when it, or the guard, is not there.

        Args:
            now: Site time, to turn what is left of a time-out into an instant.
        """
        try:
            text = run("nft", "list", "table", "inet", self.table)
            guard = run("nft", "list", "table", "inet", self.guard)
        except DataPlaneError:
            return None
        observed = parse(text, now)
        guarded = parse(guard, now).plane["inner"]
        inner = observed.plane["inner"]
        observed.plane["inner"] = {name: None for name in inner if name in guarded}
        return observed


def parse(text: str, now: float) -> Observed:
    """Parse what `nft list table` prints."""
    comment = _COMMENT.search(text)
    found = plane.empty()
    counters: dict[str, dict[int, int]] = {name: {} for name in plane.USE}
    for name, declaration in _SET.findall(text):
        elements = _ELEMENTS.search(declaration)
        body = elements[1] if elements else ""
        if name in found and body:
            found[name] = dict(_elements(name, body, now))
        if name in counters and body:
            counters[name] = dict(_counted(body))
    return Observed(comment[1] if comment else "", found, counters)


def seconds(text: str) -> float:
    """Return an nft duration such as 1d2h3m4s5ms in seconds."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


def _elements(name: str, body: str, now: float) -> Iterator[tuple[Key, Value]]:
    for raw in body.split(","):
        words = raw.split()
        if name in plane.MAPS:
            yield words[0].strip('"'), int(words[2], 16)
        elif name in plane.TIMED:
            key = " ".join(words[: words.index("timeout")]).replace('"', "")
            yield key, now + seconds(words[words.index("expires") + 1])
        elif name in {"cap_up", "cap_dl"}:
            yield _key(words[0]), _limit(raw)
        elif name in {"shop4", "shop6"}:
            yield " ".join(words[:3]), None
        elif name in {"routes4", "routes6"}:
            yield f"{_key(words[0])} . {ipaddress.ip_network(words[2])}", None
        else:
            yield _key(words[0]), None


def _key(word: str) -> Key:
    mark = _MARK.fullmatch(word)
    if mark:
        return int(mark[1], 16)
    return int(word) if word.isdecimal() else word.strip('"')


def _limit(raw: str) -> tuple[int, int]:
    found = _LIMIT.search(raw)
    if not found:
        return (0, 0)
    rate, rate_unit, burst, burst_unit = found.groups()
    return int(rate) * _BYTES[rate_unit], int(burst) * _BYTES[burst_unit]


def _counted(body: str) -> Iterator[tuple[int, int]]:
    for raw in body.split(","):
        found = _COUNTER.search(raw)
        if found:
            yield int(raw.split()[0], 16), int(found[1])
