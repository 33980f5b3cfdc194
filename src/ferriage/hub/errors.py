from __future__ import annotations


class HubError(Exception):
    """The hub cannot start; the message says why and what to do."""


class DatabaseAway(Exception):
    """The database did not answer. Gateways keep what they run and ask again."""


class Refusal(Exception):
    """An answer that is no batch: status, stable slug and a message for people."""

    def __init__(self, status: int, slug: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.slug = slug
