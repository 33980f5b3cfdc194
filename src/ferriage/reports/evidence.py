"""Reading a file of evidence, in one place, so that how it is stored concerns nobody else here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.approvals.site import evidence_dir

if TYPE_CHECKING:
    from ferriage.approvals.models import Evidence


def read(file: Evidence) -> bytes | None:
    """Return a file as it was handed in, or None when it is not where it was put."""
    path = evidence_dir() / file.sha256
    return path.read_bytes() if path.is_file() else None
