"""How django-allauth works in this house: no sign-up, no mail, secrets encrypted at rest."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import TYPE_CHECKING, Any

import segno
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet
from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest


class StaffAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Staff come in by a staff link only."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- allauth's hook
        """Tell allauth that nobody signs up."""
        return False

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """Send nothing: staff have no address here; the audit log says what was done."""


class StaffMfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """A second factor that cannot be taken off, its secrets encrypted in the database."""

    def encrypt(self, text: str) -> str:
        """Return the text as only this site's secret key opens it."""
        return _box().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """Return what `encrypt` was given."""
        return _box().decrypt(encrypted_text.encode("ascii")).decode()

    def can_delete_authenticator(self, authenticator: object) -> bool:  # noqa: ARG002 -- its hook
        """Refuse: a reset link is the only way to a new second factor."""
        return False

    def get_totp_issuer(self) -> str:
        """Return the shop's name, under which an authenticator app files the secret."""
        name: str = settings.FERRIAGE.site.name
        return name

    def build_totp_svg(self, url: str) -> str:
        """Return the QR picture; black on white, so that it scans in dark mode too."""
        picture = io.BytesIO()
        segno.make(url, error="m").save(picture, kind="svg", scale=6, border=4, light="#fff")
        return picture.getvalue().decode()


def _box() -> Fernet:
    digest = hashlib.sha256(f"staff second factor\n{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
