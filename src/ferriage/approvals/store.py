"""The directory of evidence: files are written whole, sealed, and read back only if unaltered."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals import sealing, site
from ferriage.approvals.models import Evidence
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class EvidenceUnreadable(FerriageError):
    """A file of evidence is gone or altered, or the key to it is not at hand."""

    slug = "evidence-unreadable"
    status = 503


def write_file(data: bytes, store_dir: Path) -> str:
    """Keep a file, whole or not at all, and return its SHA-256. The same file is kept once.

    Raises:
        EvidenceUnreadable: There is no usable key, so nothing may be written.
    """
    key = _key()
    sha256 = hashlib.sha256(data).hexdigest()
    store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store_dir, prefix=".new-", delete=False) as file:
        file.write(key.seal(data))
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(store_dir / key.name(sha256))
    return sha256


def read_evidence(evidence: Evidence, *, store_dir: Path) -> bytes:
    """Return a file as it was handed in: opened, and held against its SHA-256.

    Raises:
        EvidenceUnreadable: It is gone or altered, or the key is missing or another one.
    """
    return _read(evidence.sha256, _key(), store_dir)


def unreadable(*, store_dir: Path) -> Iterator[tuple[Evidence, EvidenceUnreadable]]:
    """Open every file of evidence and yield those that cannot be, each with the reason.

    Raises:
        EvidenceUnreadable: There is no usable key, so nothing can be looked at.
    """
    key: sealing.Key | None = None
    for evidence in Evidence.objects.order_by("pk").iterator(chunk_size=500):
        # A shop without evidence needs no key yet.
        key = key or _key()
        try:
            _read(evidence.sha256, key, store_dir)
        except EvidenceUnreadable as fault:
            yield evidence, fault


def _read(sha256: str, key: sealing.Key, store_dir: Path) -> bytes:
    try:
        return key.unseal((store_dir / key.name(sha256)).read_bytes(), sha256)
    except FileNotFoundError:
        _check_key_fits(key, store_dir)
        raise EvidenceUnreadable(
            _("A file of evidence is missing: SHA-256 %s.") % sha256,
            _("Put it back from a backup of the data directory, or record it anew."),
        ) from None
    except sealing.SealError as error:
        raise EvidenceUnreadable(
            _("A file of evidence was altered, so it is not shown: SHA-256 %s.") % sha256,
            _("Put it back from a backup of the data directory, or record it anew."),
        ) from error
    except OSError as error:
        raise EvidenceUnreadable(
            _("A file of evidence cannot be read: %s.") % error.strerror
        ) from error


def _check_key_fits(key: sealing.Key, store_dir: Path) -> None:
    """Tell a wrong key from a missing file: with another key every name is another one."""
    for path in sorted(store_dir.glob("[0-9a-f]*")) if store_dir.is_dir() else ():
        with path.open("rb") as file:
            head = file.read(sealing.HEAD_BYTES)
        try:
            fits = key.opens(head)
        except sealing.NotSealed:
            continue
        if fits:
            return
        raise EvidenceUnreadable(
            _("The files of evidence were sealed with another key than %s.")
            % site.evidence_key_path(),
            _("Put the shop's own evidence.key back from a backup."),
        )


def _key() -> sealing.Key:
    path = site.evidence_key_path()
    try:
        return sealing.Key.parse(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise EvidenceUnreadable(
            _("The key of the evidence, %(path)s, cannot be read: %(why)s.")
            % {"path": path, "why": error.strerror},
            _("Put it back from a backup. `ferriage init` makes one where there is no evidence."),
        ) from error
    except (sealing.NotAKey, UnicodeDecodeError) as error:
        raise EvidenceUnreadable(
            _("The key of the evidence, %s, is not one.") % path,
            _("Put the shop's own evidence.key back from a backup."),
        ) from error
