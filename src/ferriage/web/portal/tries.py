"""A limit on guessing the codes of vouchers.

Only wrong ones count, and only for the account that types them, so nobody is held for others.
Account numbers need none: of 16 characters there are 2**80, and to hold whoever types wrong ones
we would have to keep the addresses of visitors, which are never kept.

Source: docs/explanation/portal.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret

if TYPE_CHECKING:
    from ferriage.web.portal.customer import CustomerRequest

SECONDS: Final = 300
MOST: Final = 10


class TooManyTries(FerriageError):
    """So many wrong codes are typed by nobody who was given them."""

    slug = "too-many-tries"
    status = 429

    def __init__(self) -> None:
        super().__init__(
            _("Too many codes that do not exist were typed here."),
            _("Wait five minutes and try again. Nothing is locked, and nothing is lost."),
        )


def check(request: CustomerRequest) -> None:
    """Refuse who typed too many wrong ones just now, before anything is looked up.

    Raises:
        TooManyTries: They did.
    """
    if cache.get(_key(request), 0) >= MOST:
        raise TooManyTries


def count_wrong(request: CustomerRequest) -> None:
    """Count a wrong one."""
    cache.add(_key(request), 0, SECONDS)
    cache.incr(_key(request))


def _key(request: CustomerRequest) -> str:
    """Return the name under which tries are counted; the account cannot be read from it."""
    return f"tries-{hash_secret('tries-of-account', str(request.customer.pk))}"
