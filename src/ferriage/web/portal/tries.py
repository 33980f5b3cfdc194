"""A limit on guessing: of account numbers, and of the codes of vouchers and gifts.

Only wrong ones count. Who tries too often waits, and nobody else does with them: the limit is an
account's where somebody is logged in, else an address's. Where a proxy in front of the site hides
addresses there is nobody to hold: then only wrong ones are refused, and the right one still opens.

Source: docs/explanation/portal.md
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret

if TYPE_CHECKING:
    from ferriage.web.portal.customer import VisitorRequest

SECONDS: Final = 300
MOST: Final = 10
MOST_OF_ALL: Final = 300
MOST_WHEN_MANY: Final = 3
"""So few has each while all together are too many: many guessers gain nothing by being many."""
_IPV6_SITE: Final = 64


class TooManyTries(FerriageError):
    """So many wrong numbers or codes are typed by nobody who was given them."""

    slug = "too-many-tries"
    status = 429

    def __init__(self) -> None:
        super().__init__(
            _("Too many numbers or codes that do not exist were typed here."),
            _("Wait five minutes and try again. Nothing is locked, and nothing is lost."),
        )


def check(request: VisitorRequest) -> None:
    """Refuse who typed too many wrong ones just now, before anything is looked up.

    Raises:
        TooManyTries: They did.
    """
    who = _who(request)
    if who and _count(who) >= _most():
        raise TooManyTries


def count_wrong(request: VisitorRequest) -> None:
    """Count a wrong one.

    Raises:
        TooManyTries: All were too many, and nobody knows whose they are.
    """
    who = _who(request)
    for key in filter(None, (who, "tries")):
        cache.add(key, 0, SECONDS)
        cache.incr(key)
    if not who and _count("tries") > MOST_OF_ALL:
        raise TooManyTries


def _count(key: str) -> int:
    found: int = cache.get(key, 0)
    return found


def _most() -> int:
    return MOST if _count("tries") <= MOST_OF_ALL else MOST_WHEN_MANY


def _who(request: VisitorRequest) -> str:
    """Return the name under which tries are counted; empty where it would be everybody's.

    Neither account nor address can be read from it.
    """
    if request.customer is not None:
        return f"tries-{hash_secret('tries-of-account', str(request.customer.pk))}"
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return ""
    if not address.is_global:
        return ""
    if address.version == 6:  # noqa: PLR2004 -- a household has a whole network
        address = ipaddress.ip_network(f"{address}/{_IPV6_SITE}", strict=False).network_address
    return f"tries-{hash_secret('tries-of-address', str(address))}"
