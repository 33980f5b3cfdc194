"""Somebody with the database file or its password: no trigger asks what they do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection

from ferriage.approvals import sealing, site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ferriage.approvals.models import Evidence


@contextmanager
def tampering() -> Iterator[None]:
    """Take every trigger away for a block; what it leaves behind is as after a bad restore."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            yield
            cursor.execute("SET session_replication_role = origin")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _sql in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        yield
        for _name, sql in triggers:
            cursor.execute(sql)


@contextmanager
def harmed(evidence: Evidence) -> Iterator[None]:
    """Cut the last byte off a sealed file of the site's own store for a block."""
    path = sealed_file(evidence)
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    try:
        yield
    finally:
        path.write_bytes(before)


def sealed_file(evidence: Evidence) -> Path:
    """Return where the site's own store keeps a file."""
    key = sealing.Key.parse(site.evidence_key_path().read_text().strip())
    return site.evidence_dir() / key.name(evidence.sha256)
