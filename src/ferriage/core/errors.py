"""The root of everything Ferriage refuses on purpose.

An expected refusal subclasses `FerriageError` beside the action that raises it. `message` is
safe to show and says what happened; `remedy` says what to do. Anything else that rises is a bug.
"""

from __future__ import annotations


class FerriageError(Exception):
    """An expected refusal.

    Attributes:
        slug: Stable name for programs and for the table of HTTP statuses.
        status: HTTP status a page or the API answers with.
        message: What happened, in words for people (may be a lazy translation).
        remedy: What to do about it.
    """

    slug = "refused"
    status = 409

    def __init__(self, message: object, remedy: object = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class StaleState(FerriageError):
    """Another writer changed the row first; nothing was written."""

    slug = "stale"


class NotFound(FerriageError):
    """There is no such thing, or it belongs to somebody else (we do not tell which)."""

    slug = "not-found"
    status = 404


class OutsideError(FerriageError):
    """Something outside failed for now: retry, count, warn."""

    slug = "outside"
    status = 503
