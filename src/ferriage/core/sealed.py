"""Secrets that are needed again, as the database holds them: sealed, and bound to their place.

    key's id, 4 bytes │ nonce, 12 bytes │ ChaCha20-Poly1305 of the text        (base64)

The key comes from the site's secret key, so a stolen table or dump opens nothing. The seal covers
the name of the place too, so that a sealed text copied into another row does not open there.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError

_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12


class Unsealable(FerriageError):
    """A sealed text does not open here."""

    slug = "unsealable"
    status = 503


def seal(text: str, *, place: str) -> str:
    """Return the text sealed for a place, such as a row's code; never twice the same."""
    key, key_id = _derive()
    nonce = os.urandom(_NONCE_BYTES)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, text.encode(), place.encode())
    return base64.b64encode(key_id + nonce + sealed).decode()


def unseal(sealed: str, *, place: str) -> str:
    """Return what was sealed for a place.

    Raises:
        Unsealable: It was sealed with another key or for another place, or was altered.
    """
    key, key_id = _derive()
    raw = base64.b64decode(sealed)
    head, body = raw[: _ID_BYTES + _NONCE_BYTES], raw[_ID_BYTES + _NONCE_BYTES :]
    if not head.startswith(key_id):
        raise Unsealable(
            _("These secrets were sealed with another secret key than the site's."),
            _("Put the site's own secret key back, or enter the secrets anew."),
        )
    try:
        return ChaCha20Poly1305(key).decrypt(head[_ID_BYTES:], body, place.encode()).decode()
    except InvalidTag as error:
        raise Unsealable(
            _("These sealed secrets were altered, so they are not used."),
            _("Enter them anew."),
        ) from error


def _derive() -> tuple[bytes, bytes]:
    derive = HKDF(
        algorithm=SHA256(), length=_KEY_BYTES + _ID_BYTES, salt=None, info=b"ferriage sealed 1"
    )
    made = derive.derive(settings.SECRET_KEY.encode())
    return made[:_KEY_BYTES], made[_KEY_BYTES:]
