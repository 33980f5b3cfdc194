"""Members of staff for tests: logged in, with a second factor that really checks codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import User
from django.test import Client

from ferriage.accounts.models import StaffProfile
from ferriage.core import clock

if TYPE_CHECKING:
    from datetime import datetime

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def make_staff(name: str, role: str, *, factor: bool = True) -> User:
    """Return a member of staff, with the second factor of `SECRET` unless told otherwise."""
    user = User.objects.create_user(name, password=PASSWORD)
    StaffProfile.objects.create(user=user, role=role)
    if factor:
        totp.TOTP.activate(user, SECRET)
    return user


def logged_in(user: User) -> Client:
    """Return a browser in which somebody is logged in."""
    client = Client()
    client.force_login(user)
    return client


def code(secret: str, at: datetime | None = None) -> str:
    """Return the code that an authenticator app shows for a secret."""
    counter = int((at or clock.now()).timestamp()) // 30
    return totp.format_hotp_value(totp.hotp_value(secret, counter))
