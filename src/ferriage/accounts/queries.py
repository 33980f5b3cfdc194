from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.accounts.models import (
    Account,
    CalendarFeed,
    CustomerSession,
    StaffLink,
    StaffProfile,
)
from ferriage.core import codes
from ferriage.core.hashing import hash_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser, User


def account_by_number(text: str) -> Account | None:
    """Return the account of a number as somebody typed it, or nothing."""
    number = codes.normalise(text)
    if not codes.is_code(number):
        return None
    return Account.objects.filter(
        number_hash=hash_secret("account", number), closed_at__isnull=True
    ).first()


def numbers_in_use(numbers: Sequence[str]) -> set[str]:
    """Return those of the numbers, as bare characters, that open an account; a page at most."""
    hashes = {hash_secret("account", number): number for number in numbers}
    rows = Account.objects.filter(number_hash__in=hashes, closed_at__isnull=True)
    return {hashes[found] for found in rows.values_list("number_hash", flat=True)}


def account_by_session(token: str, now: datetime) -> Account | None:
    """Return who is logged in with a cookie's token, or nothing when it has run out."""
    session = (
        CustomerSession.objects.filter(
            token_hash=hash_secret("session", token),
            expires_at__gt=now,
            account__closed_at__isnull=True,
        )
        .select_related("account")
        .first()
    )
    return session.account if session else None


def staff_link(token: str, now: datetime) -> StaffLink | None:
    """Return a staff link that can still be used, or nothing."""
    return (
        StaffLink.objects.filter(
            token_hash=hash_secret("staff-link", token),
            used_at__isnull=True,
            expires_at__gt=now,
        )
        .select_related("user")
        .first()
    )


def calendar_reader(token: str) -> User | None:
    """Return whose calendar program reads with a token, or nothing when it was ended."""
    feed = (
        CalendarFeed.objects.filter(
            token_hash=hash_secret("calendar-feed", token), ended_at__isnull=True
        )
        .select_related("user")
        .first()
    )
    return feed.user if feed else None


def calendar_feed_of(user: User) -> CalendarFeed | None:
    """Return the feed that somebody's calendar program may read with, if there is one."""
    return CalendarFeed.objects.filter(user=user, ended_at=None).first()


def role_of(user: User | AnonymousUser) -> str:
    """Return the role of somebody in the back office; empty for everybody else."""
    if not user.is_authenticated or not user.is_active:
        return ""
    role = StaffProfile.objects.filter(user_id=user.pk).values_list("role", flat=True).first()
    return role or ""
