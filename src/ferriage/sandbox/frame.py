"""What a provider's half brings to the sandbox, and what the frame does for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp import web

PLACE: Final = re.compile(r"[A-Z]{2}")
"""An ISO 3166 code, as the payment page takes it."""


class Act(StrEnum):
    """What a customer may do on the payment page. A half offers what its provider knows."""

    PAY = "pay"
    LATE = "late"
    SHORT = "short"
    OVER = "over"
    DECLINE = "decline"
    ABANDON = "abandon"
    CLAIM = "claim"


class Refused(Exception):
    """The sandbox does not do it; `status` is HTTP's, the message says why."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Means:
    """One means of payment on the page. `asks_place` lets the customer say where it was issued."""

    slug: str
    title: str
    asks_place: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """One request for money, as the payment page shows it.

    `note` says what became of it where nothing is left to do; then `acts` is empty.
    """

    code: str
    title: str
    amount: str
    means: tuple[Means, ...]
    acts: tuple[Act, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """A payment that was begun, as the front page lists it.

    `name` is the provider's name of it, which commands take; `state` is in the provider's words.
    """

    name: str
    title: str
    amount: str
    state: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What the customer chose: an act, a means of the bill, and where that was issued."""

    act: Act
    means: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """One event that a provider calls back with.

    It is signed when it is sent, since signatures hold the time. `forged` is the same event
    with another amount; it goes out signed with a secret that is not `secret`.
    """

    half: str
    ident: str
    kind: str
    url: str
    body: bytes
    forged: bytes
    secret: str
    sign: Callable[[bytes, str], dict[str, str]]


class Half(Protocol):
    """One provider: its API, its payment page's content, and what only its dashboard can do."""

    slug: str
    title: str

    def routes(self) -> Iterable[web.RouteDef]:
        """Return its API, below `/<slug>/`."""

    def settings(self) -> dict[str, str]:
        """Return what a shop must be told to use it: addresses, keys, secrets."""

    def bill(self, code: str) -> Bill | None:
        """Return what a payment page shows."""

    def begun(self) -> list[Begun]:
        """Return the payments that were begun, oldest first."""

    async def act(self, code: str, choice: Choice) -> str:
        """Do what the customer chose; return where the browser goes next.

        Raises:
            Refused: The bill does not offer it now.
        """

    async def command(self, verb: str, given: dict[str, Any]) -> dict[str, Any]:
        """Do what a person would do in the provider's dashboard, or the provider by itself.

        Raises:
            Refused: No such verb, or it cannot be done now.
        """


@dataclass(frozen=True, slots=True)
class Site:
    """Where the sandbox is and where the shop is, as addresses without a slash at the end."""

    url: str
    shop_url: str

    def page(self, half: str, code: str) -> str:
        """Return the address of a payment page."""
        return f"{self.url}/page/{half}/{code}"

    def hook(self, half: str) -> str:
        """Return where the shop takes a provider's events."""
        return f"{self.shop_url}/pay/{half}/events"
