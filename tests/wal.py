"""How many transactions were committed to a SQLite file that is kept in WAL mode."""

from __future__ import annotations

import struct
from pathlib import Path


def commits(path: Path) -> int:
    """Return a number that grows by one with each of them: the WAL index counts them itself.

    Source: https://www.sqlite.org/walformat.html#the_wal_index_file_format (iChange)
    """
    (changes,) = struct.unpack_from("=I", Path(f"{path}-shm").read_bytes(), 8)
    return int(changes)
