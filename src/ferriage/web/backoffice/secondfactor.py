"""Staff's second factors, which django-allauth keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
    from django.db.models import QuerySet


class KeptSecretForm(ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    """Setting a second factor up, with one secret for as long as somebody is about it.

    allauth shows another one each time the page is read, so that a reload, or the app opening it
    again, would leave the telephone with a secret that fits no more.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session = context.request.session
        kept = session.get(SECRET_SESSION_KEY)
        super().__init__(*args, **kwargs)
        if kept:
            self.secret = session[SECRET_SESSION_KEY] = kept


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
