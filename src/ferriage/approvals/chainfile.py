"""The chain of Decisions as a file, and its verifier, which needs no database and no settings.

One line a Decision, oldest first, in canonical JSON; each hash covers the bytes of `content` and
the hash before. So one altered byte anywhere is found. Who rewrites every line from one on makes
a chain that is sound in itself: compare its head with the one that was noted elsewhere.

Source: docs/explanation/register.md
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ferriage.core import chain

if TYPE_CHECKING:
    from collections.abc import Iterable

_LINE: Final = re.compile(
    rb'\{"content":(\{.*\}),"hash":"([0-9a-f]{64})","previous":"([0-9a-f]{64})"\}\n'
)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a file holds: how many Decisions follow from one another, and the last one's hash.

    `fault` says what is wrong with the line after them; it is empty when the whole file holds.
    """

    count: int
    head: str
    fault: str = ""


def line(content: dict[str, Any], *, hash_: str, previous: str) -> str:
    """Return one Decision as a line of the file."""
    return chain.canonical({"content": content, "hash": hash_, "previous": previous}) + "\n"


def verify(lines: Iterable[bytes]) -> Verified:
    """Follow a chain line by line, to its end or to the first line that does not fit."""
    head = chain.GENESIS
    count = 0
    for text in lines:
        fault, hash_ = _follow(text, count + 1, head)
        if fault:
            return Verified(count, head, f"Line {count + 1}: {fault}.")
        head, count = hash_, count + 1
    return Verified(count, head)


def _follow(text: bytes, sequence: int, previous: str) -> tuple[str, str]:
    """Return what is wrong with a line, if anything, and its hash."""
    found = _LINE.fullmatch(text)
    if found is None:
        return "not a decision as this program writes them", ""
    content, hash_, said_previous = found[1], found[2].decode(), found[3].decode()
    if said_previous != previous:
        return f"decision {sequence} does not name the hash of the one before", hash_
    if hashlib.sha256(previous.encode() + b"\n" + content).hexdigest() != hash_:
        return f"decision {sequence} is not what its hash was made of", hash_
    if json.loads(content).get("sequence") != sequence:
        return f"decision {sequence} is missing, another stands in its place", hash_
    return "", hash_
