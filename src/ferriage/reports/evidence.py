"""Reading a file of evidence, in one place, so that how it is stored concerns nobody else here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.approvals.site import evidence_dir
from ferriage.approvals.store import EvidenceUnreadable, read_evidence

if TYPE_CHECKING:
    from ferriage.approvals.models import Evidence


def read(file: Evidence) -> bytes | None:
    """Return a file as it was handed in, or None when it is gone, altered or cannot be opened."""
    try:
        return read_evidence(file, store_dir=evidence_dir())
    except EvidenceUnreadable:
        return None
