"""Hash chains: each entry holds the hash of the one before, so history cannot be rewritten."""

from __future__ import annotations

import hashlib
import json
from typing import Any

GENESIS = "0" * 64


def canonical(content: dict[str, Any]) -> str:
    """Return one text per content: keys sorted, no spaces, no escapes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def link(previous_hash: str, content: dict[str, Any]) -> str:
    """Return the hash (64 hex digits) of an entry that follows `previous_hash`."""
    return hashlib.sha256(f"{previous_hash}\n{canonical(content)}".encode()).hexdigest()
