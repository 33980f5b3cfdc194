"""Reading and writing our two nft tables by libnftables, and knowing when nobody changed them.

The kernel counts the changes of its rules (the generation). While it stands where we left it, what
we read and wrote is what is there, so a look needs not list a table of a hundred thousand elements.
Time-outs and packets do not raise it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ferriage.agent import bulk, counters, layout, netlink, plane
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.nftlib import Changer
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ferriage.agent.plane import Key, Plane, Step, Value
    from ferriage.agent.slots import Inner
    from ferriage.config import AgentConfig

_ELEMENTS: Final = re.compile(r"elements = \{(.*)\}", re.DOTALL)
_COMMENT: Final = re.compile(r'^\tcomment "([^"]*)"', re.MULTILINE)
_MARK: Final = re.compile(r"0x([0-9a-f]{8})")
_DURATION: Final = re.compile(r"(\d+)(d|h|ms|m|s)")
_SECONDS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LIMIT: Final = re.compile(r"limit rate (\d+) (\w+)/second burst (\d+) (\w+)")
_BYTES: Final = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20, "gbytes": 1 << 30}
_COUNTER: Final = re.compile(r"counter packets \d+ bytes (\d+)")

_GET_GENERATION: Final = 10 << 8 | 16
_GENERATION_ID: Final = 1
_GET_SETS: Final = 10 << 8 | 10
_SET_TABLE, _SET_NAME, _SET_FLAGS = 1, 2, 3
_ANONYMOUS, _MAP = 0x1, 0x8
_GENERATIONS: Final = 1 << 32


class Observed(NamedTuple):
    """Our table as it was read: its comment, its elements, and bytes per counting element.

    `rules` is the text of both our tables without the elements.
    """

    comment: str
    plane: Plane
    counters: dict[str, dict[int, int]]
    rules: str


def generation() -> int:
    """Return how often rules were changed in this network namespace, modulo 2^32.

    Raises:
        OSError: The kernel has no nftables.
    """
    with netlink.Conversation(counters.NETFILTER) as kernel:
        answers = kernel.exchange(_GET_GENERATION, netlink.ACK, counters.FAMILY_HEAD.pack(0, 0, 0))
        for answer in answers:
            for kind, begin, end in netlink.attributes(
                answer, counters.FAMILY_HEAD.size, len(answer)
            ):
                if kind == _GENERATION_ID:
                    return int.from_bytes(answer[begin:end], "big")
    raise netlink.Malformed("the kernel names no generation of its rules")


class Nft:
    """Our tables. Rules of others are neither read nor changed."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self.table = config.table
        self.guard = f"{config.table}_guard"
        self._change = Changer()
        self._known: int | None = None
        """The generation that our last reading, with our changes since, describes."""

    def older(self) -> str | None:
        """Return the comment of our table if another release has made it; else None.

        Asked before it is read, since nft would not find our sets in it. In the usual case it costs
        one message: nft fetches all elements also where it prints none.
        """
        if not self._retired():
            return None
        found = _COMMENT.search(run("nft", "-t", "list", "table", "inet", self.table))
        return found[1] if found else None

    def _retired(self) -> str:
        return layout.retire(self.table, _sets(self.table))

    def install(self, comment: str, inner: Iterable[Inner]) -> None:
        """Make the tables, or refill the rules of those that are there and keep all elements.

        Of a table that another release has made only the counters are kept; see `layout.retire`.

        Raises:
            DataPlaneError: nft refuses, or is not there.
        """
        text = layout.text(
            table=self.table,
            comment=comment,
            hold_port=self._config.hold_port,
            allow_networks=self._config.allow_networks,
            inner=inner,
        )
        retired = self._retired()
        if retired:
            self._known = None
        self._commit(lambda: run("nft", "-f", "-", stdin=retired + text))

    def unchanged(self) -> bool:
        """Say, at the price of a system call, whether what we know of our tables still holds."""
        return self._known is not None and self._known == generation()

    def forget(self) -> None:
        """Know nothing any more; the next look reads all."""
        self._known = None

    def there(self) -> bool:
        """Say whether one of our tables is there."""
        lines = run("nft", "list", "tables", "inet").splitlines()
        return bool({f"table inet {name}" for name in (self.table, self.guard)} & set(lines))

    def remove(self) -> None:
        """Take both tables away."""
        tables = (self.table, self.guard)
        self._known = None
        self._change("".join(f"add table inet {t}\ndelete table inet {t}\n" for t in tables))

    def apply(self, steps: Iterable[Step], now: float) -> None:
        """Take all steps in one transaction.

        Raises:
            DataPlaneError: None was taken.
        """
        text = plane.render(steps, table=self.table, guard=self.guard, now=now)
        if text:
            self._commit(lambda: self._change(text))

    def fill(self, steps: Iterable[Step], now: float) -> None:
        """Take all steps of `bulk.split`'s second part in one transaction.

        Raises:
            DataPlaneError: None was taken.
        """
        self._commit(lambda: bulk.fill(self.table, steps, now))

    def _commit(self, transaction: Callable[[], object]) -> None:
        """Make one transaction, and keep knowing what is there if nobody else made one."""
        before, known = generation(), self._known
        self._known = None
        transaction()
        # Somebody else's change, before ours or beside it, makes the counts disagree.
        after = (before + 1) % _GENERATIONS
        if known == before and generation() == after:
            self._known = after

    def read(self, now: float) -> Observed | None:
        """Read our table; None when it, or the guard, is not there.

        Args:
            now: Site time, to turn what is left of a time-out into an instant.
        """
        before = generation()
        try:
            rules = self.rules()
            comment = _COMMENT.search(rules)
            # Set by set, since the text of a big table would be most of what we need of memory.
            found = {name: self._set(name, now) for name in plane.SETS}
            guarded = parse_set("inner", _list("set", self.guard, "inner"), now)
        except DataPlaneError:
            return None
        elements = {name: elements for name, (elements, _) in found.items()}
        elements["inner"] = {name: None for name in elements["inner"] if name in guarded[0]}
        counted = {name: found[name][1] for name in plane.USE}
        self._known = before if generation() == before else None
        return Observed(comment[1] if comment else "", elements, counted, rules)

    def rules(self) -> str:
        """Return the text of both our tables without their elements.

        Raises:
            DataPlaneError: One is not there.
        """
        tables = (self.table, self.guard)
        return "".join(run("nft", "-t", "list", "table", "inet", name) for name in tables)

    def counters(self) -> dict[str, dict[int, int]]:
        """Read the counting elements alone: bytes by slot, for each counting set.

        Raises:
            DataPlaneError: They are not there.
        """
        return {name: counters.read(self.table, name) for name in plane.USE}

    def _set(self, name: str, now: float) -> tuple[dict[Key, Value], dict[int, int]]:
        kind = "map" if name in plane.MAPS else "set"
        return parse_set(name, _list(kind, self.table, name), now)


def _sets(table: str) -> dict[str, str]:
    """Return the kind, set or map, of each named set of a table; none if it is not there."""
    request = counters.FAMILY_HEAD.pack(counters.INET, 0, 0)
    request += netlink.attribute(_SET_TABLE, table.encode() + b"\0")
    found: dict[str, str] = {}
    with netlink.Conversation(counters.NETFILTER) as kernel, contextlib.suppress(FileNotFoundError):
        for answer in kernel.exchange(_GET_SETS, netlink.DUMP, request):
            said = {
                kind: answer[begin:end]
                for kind, begin, end in netlink.attributes(
                    answer, counters.FAMILY_HEAD.size, len(answer)
                )
            }
            flags = int.from_bytes(said.get(_SET_FLAGS, b""), "big")
            if not flags & _ANONYMOUS:
                name = said[_SET_NAME].rstrip(b"\0").decode()
                found[name] = "map" if flags & _MAP else "set"
    return found


def _list(kind: str, table: str, name: str) -> str:
    return run("nft", "list", kind, "inet", table, name)


def parse_set(name: str, text: str, now: float) -> tuple[dict[Key, Value], dict[int, int]]:
    """Parse what `nft list set` prints: elements, and bytes by slot of those that count."""
    found = _ELEMENTS.search(text)
    body = found[1] if found else ""
    if not body:
        return {}, {}
    counted = dict(_counted(body)) if name in plane.USE else {}
    return dict(_elements(name, body, now)), counted


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
    return plane.limit(int(rate) * _BYTES[rate_unit], int(burst) * _BYTES[burst_unit])


def _counted(body: str) -> Iterator[tuple[int, int]]:
    for raw in body.split(","):
        found = _COUNTER.search(raw)
        if found:
            yield int(raw.split()[0], 16), int(found[1])
