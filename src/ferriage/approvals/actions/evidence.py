"""Files that prove something: known by their SHA-256, kept sealed, never changed or removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals import store
from ferriage.approvals.models import Approval, Determination, Evidence
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ferriage.core.actors import Actor

LARGEST_BYTES: Final = 20 * 1024 * 1024
MEDIA_TYPES: Final = ("application/pdf", "image/jpeg", "image/png", "text/plain")


class EvidenceRefused(FerriageError):
    """The file is empty, too large or of a type that is not kept."""

    slug = "evidence-refused"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFile:
    """A file as it was handed in; `original_at` says where its original lies."""

    data: bytes
    title: str
    media_type: str
    original_at: str = ""


def add_evidence(
    *,
    approval: Approval | Determination,
    file: EvidenceFile,
    store_dir: Path,
    now: datetime,
    actor: Actor,
) -> Evidence:
    """Keep a file as evidence of an approval, or as the opinion behind a determination.

    The file is on disk before its row is written, so a row never names a file that is not there.

    Args:
        store_dir: Directory of the files; made when missing.

    Raises:
        EvidenceRefused: Empty, above 20 MiB, or neither PDF, PNG, JPEG nor plain text.
        EvidenceUnreadable: The key that seals it is missing.
    """
    owner = {"approval" if isinstance(approval, Approval) else "determination": approval}
    return _keep(file, store_dir, now, actor, subject=approval.code, **owner)


def keep_receipt(
    *, file: EvidenceFile, subject: str, store_dir: Path, now: datetime, actor: Actor
) -> Evidence:
    """Keep a file that shows what was done later, such as a fee that was paid.

    It is no part of an approval's record, which takes no more evidence once it was verified: what
    names the file is the row of what was done.

    Args:
        subject: Code of what it belongs to, for the audit log.

    Raises:
        EvidenceRefused: As `add_evidence`, like the other.
    """
    return _keep(file, store_dir, now, actor, subject=subject)


def _keep(
    file: EvidenceFile,
    store_dir: Path,
    now: datetime,
    actor: Actor,
    *,
    subject: str,
    **owner: Approval | Determination,
) -> Evidence:
    _check(file)
    sha256 = store.write_file(file.data, store_dir)
    with writing():
        evidence = Evidence.objects.create(
            sha256=sha256,
            title=file.title,
            media_type=file.media_type,
            size_bytes=len(file.data),
            original_at=file.original_at,
            uploaded_by=str(actor),
            uploaded_at=now,
            **owner,
        )
        audit.record(now=now, actor=actor, action="evidence.added", subject=subject, sha256=sha256)
    return evidence


def _check(file: EvidenceFile) -> None:
    if not file.data:
        raise EvidenceRefused(_("The file is empty."))
    if len(file.data) > LARGEST_BYTES:
        raise EvidenceRefused(_("The file is larger than 20 MiB."))
    if file.media_type not in MEDIA_TYPES:
        raise EvidenceRefused(
            _("Files of this type are not kept."), _("Use PDF, PNG, JPEG or plain text.")
        )
