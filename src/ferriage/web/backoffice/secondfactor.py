"""Staff's second factors, which django-allauth keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.mfa.models import Authenticator

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
    from django.db.models import QuerySet


def has_one(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Tell whether somebody logs in with a code besides the password."""
    return bool(_totp().filter(user_id=user.pk).exists())


def who_have_one() -> set[int]:
    """Return the primary keys of all who do."""
    return set(_totp().values_list("user_id", flat=True))


def forget(user: User) -> None:
    """Remove the second factor of somebody who came by a reset link: the telephone is lost.

    Called in the transaction that uses the link up. They set up another one before any page.
    """
    Authenticator.objects.filter(user_id=user.pk).delete()


def _totp() -> QuerySet[Authenticator]:
    rows: QuerySet[Authenticator] = Authenticator.objects.filter(type=Authenticator.Type.TOTP)
    return rows
