"""WireGuard keys: X25519, base64 as WireGuard prints them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key, shown once and kept nowhere, and its public half."""

    private: str
    public: str


def new_keypair() -> KeyPair:
    """Return a new pair for a customer whose browser made none."""
    private = X25519PrivateKey.generate()
    return KeyPair(
        _text(private.private_bytes_raw()), _text(private.public_key().public_bytes_raw())
    )


def is_public_key(text: str) -> bool:
    """Tell whether text is a WireGuard public key: base64 of 32 bytes that are not all zero."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == LENGTH and any(raw) and _text(raw) == text


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
