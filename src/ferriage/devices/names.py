"""Names that people can tell apart and say aloud: "quiet otter"."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

ADJECTIVES: Final = (
    "amber", "brave", "bright", "calm", "clever", "cosy", "eager", "early", "fair", "gentle",
    "glad", "golden", "green", "happy", "humble", "jolly", "keen", "kind", "lively", "lucky",
    "merry", "mild", "neat", "noble", "patient", "plain", "proud", "quick", "quiet", "red",
    "silver", "snowy", "steady", "sunny", "swift", "tidy", "warm", "wise", "witty", "young",
)  # fmt: skip
ANIMALS: Final = (
    "badger", "bear", "beaver", "bison", "crane", "deer", "dolphin", "eagle", "falcon", "finch",
    "fox", "gull", "hare", "hawk", "heron", "horse", "ibis", "koala", "lark", "lynx",
    "magpie", "marten", "mole", "moose", "otter", "owl", "panda", "pelican", "puffin", "raven",
    "robin", "salmon", "seal", "sparrow", "stork", "swan", "tiger", "turtle", "walrus", "wren",
)  # fmt: skip


def new_name(taken: Collection[str]) -> str:
    """Return a name that is not taken; a number is added when words run out."""
    for _try in range(50):
        name = f"{secrets.choice(ADJECTIVES)} {secrets.choice(ANIMALS)}"
        if name not in taken:
            return name
    return f"{name} {secrets.randbelow(9000) + 1000}"
