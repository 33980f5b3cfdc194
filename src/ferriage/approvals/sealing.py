"""A file of evidence as it lies on disk: sealed, so that a stolen disk or backup tells nothing.

    "ferriage evidence 1" │ key's id, 8 bytes │ nonce, 12 bytes │ ChaCha20-Poly1305 of the file

The seal covers the head and the SHA-256 of what was handed in, so a sealed file that is put in
another's place does not open as that one. Its name on disk is a keyed hash of that SHA-256: who
holds a well-known document cannot tell from the names whether it lies here too.

Source: docs/decisions/0012-sealed-evidence.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_FORMAT: Final = b"ferriage evidence 1\n"
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
HEAD_BYTES: Final = len(_FORMAT) + _ID_BYTES + _NONCE_BYTES


class SealError(Exception):
    """A sealed file cannot be opened."""


class NotAKey(SealError):
    """The text of a key file is not a key."""


class NotSealed(SealError):
    """Not a sealed file, or one of a format that this release does not know."""


class OtherKey(SealError):
    """It was sealed with another key than this one."""


class Broken(SealError):
    """It was altered, cut off, or put in another file's place."""


@dataclass(frozen=True, slots=True)
class Key:
    """A shop's evidence key, split by purpose so that no part tells anything of another."""

    sealing: bytes
    naming: bytes
    id: bytes

    @classmethod
    def parse(cls, text: str) -> Key:
        """Return the key of a key file.

        Raises:
            NotAKey: It is not the base64 of 32 bytes.
        """
        try:
            secret = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise NotAKey from error
        if len(secret) != _KEY_BYTES:
            raise NotAKey
        return cls(
            sealing=_derive(secret, b"seal", _KEY_BYTES),
            naming=_derive(secret, b"name", _KEY_BYTES),
            id=_derive(secret, b"id", _ID_BYTES),
        )

    def name(self, sha256: str) -> str:
        """Return the name on disk, 64 hex digits, of the file with this SHA-256."""
        return hmac.new(self.naming, bytes.fromhex(sha256), hashlib.sha256).hexdigest()

    def seal(self, data: bytes) -> bytes:
        """Return the file as it lies on disk; never twice the same."""
        head = _FORMAT + self.id
        nonce = os.urandom(_NONCE_BYTES)
        bound = head + hashlib.sha256(data).digest()
        return head + nonce + ChaCha20Poly1305(self.sealing).encrypt(nonce, data, bound)

    def unseal(self, sealed: bytes, sha256: str) -> bytes:
        """Return what was handed in under this SHA-256.

        Raises:
            SealError: One of its kinds.
        """
        if self.opens(sealed[:HEAD_BYTES]) is False:
            raise OtherKey
        head, nonce = sealed[: len(_FORMAT) + _ID_BYTES], sealed[:HEAD_BYTES][-_NONCE_BYTES:]
        try:
            bound = head + bytes.fromhex(sha256)
            data = ChaCha20Poly1305(self.sealing).decrypt(nonce, sealed[HEAD_BYTES:], bound)
        except InvalidTag:
            raise Broken from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Broken
        return data

    def opens(self, head: bytes) -> bool:
        """Tell by its first bytes whether a file was sealed with this key.

        Raises:
            NotSealed: It is no sealed file.
        """
        if len(head) < HEAD_BYTES or not head.startswith(_FORMAT):
            raise NotSealed
        return head[len(_FORMAT) :][:_ID_BYTES] == self.id


def new_key() -> str:
    """Return a new key as its file holds it: base64 of 32 random bytes."""
    return base64.b64encode(os.urandom(_KEY_BYTES)).decode()


def _derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    info = b"ferriage evidence " + purpose
    return HKDFExpand(algorithm=SHA256(), length=length, info=info).derive(secret)
