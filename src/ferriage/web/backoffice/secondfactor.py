"""Staff's second factors, which django-allauth keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.core import context
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.core.cache import cache

from ferriage.core.hashing import hash_secret

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


class _Once:
    """Takes each code of a telephone once for as long as it is right.

    allauth remembers it for one period only; with a tolerance it is right for longer.
    """

    user: User
    authenticator: Authenticator
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        """Return a code that is right and was not used.

        Raises:
            ValidationError: It is wrong, or was used.
        """
        shown = f"{self.user.pk} {normalize_user_code(self.cleaned_data['code'])}"
        key = hash_secret("used-second-factor", shown)
        # Asked first: allauth would forget failed tries for a code that is only not taken again.
        if cache.get(key) is not None:
            raise get_adapter().validation_error("incorrect_code")
        code: str = super().clean_code()  # type: ignore[misc]  # of the form beside it
        if self.authenticator.type == Authenticator.Type.TOTP:
            periods = 2 * app_settings.TOTP_TOLERANCE + 1
            if not cache.add(key, "used", timeout=periods * app_settings.TOTP_PERIOD):
                raise get_adapter().validation_error("incorrect_code")
        return code


class OnceForm(_Once, AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The second step of a log-in."""


class OnceAgainForm(_Once, ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    """A code that is asked for again before something grave."""


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
