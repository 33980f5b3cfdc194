"""Handing out files of evidence: opened, held against their hash, and never shown in the page."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from django.http import FileResponse
from django.utils.cache import add_never_cache_headers

from ferriage.approvals import site, store

if TYPE_CHECKING:
    from ferriage.approvals.models import Evidence

ENDINGS: Final = {
    "application/pdf": (".pdf",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "text/plain": (".txt",),
}


def evidence_file(evidence: Evidence) -> FileResponse:
    """Return a file as it was handed in, to be saved and not to be opened in the site's name.

    Raises:
        EvidenceUnreadable: It is gone or altered, or the key is missing or another one.
    """
    data = store.read_evidence(evidence, store_dir=site.evidence_dir())
    response = FileResponse(
        BytesIO(data),
        as_attachment=True,
        filename=_file_name(evidence),
        content_type=evidence.media_type,
        # Whoever handed the file in chose its type; no browser may find another one in it.
        headers={"X-Content-Type-Options": "nosniff"},
    )
    add_never_cache_headers(response)
    return response


def _file_name(evidence: Evidence) -> str:
    """Return the title with an ending that fits the type, so that it opens where it is saved."""
    endings = ENDINGS.get(evidence.media_type, ("",))
    title = evidence.title.strip() or evidence.sha256[:16]
    return title if title.lower().endswith(endings) else title + endings[0]
