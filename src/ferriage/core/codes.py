"""Codes that leave the house: a prefix and 16 Crockford base32 characters (80 random bits)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16
_OF_BYTES = "".join(ALPHABET[byte % len(ALPHABET)] for byte in range(256)).encode()
"""A character for each byte: 256 is a multiple of 32, so each is as likely as any other."""
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1"})


def random_characters(length: int = LENGTH) -> str:
    """Return random Crockford base32 characters, upper case."""
    return secrets.token_bytes(length).translate(_OF_BYTES).decode()


def new_code(prefix: str) -> str:
    """Return a new code such as `ord_7K3M…` for a row that is named outside."""
    return f"{prefix}_{random_characters()}"


def normalise(text: str) -> str:
    """Return what a person typed as bare Crockford characters.

    Accepts spaces, hyphens, any case, O for 0, I and l for 1, and Persian, Arabic and
    full-width digits. The result may still be of any length or hold foreign characters.
    """
    plain = unicodedata.normalize("NFKC", text)
    digits = "".join(
        str(unicodedata.digit(char)) if unicodedata.category(char) == "Nd" else char
        for char in plain
    )
    kept = "".join(char for char in digits if char.isalnum())
    return kept.upper().translate(_ALIKE)


def is_code(text: str, length: int = LENGTH) -> bool:
    """Tell whether normalised text has the form of a number or voucher."""
    return len(text) == length and all(char in ALPHABET for char in text)


def grouped(text: str) -> str:
    """Return characters in groups of four, for reading aloud and typing."""
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def keyed_hash(key: str, purpose: str, text: str) -> str:
    """Return 64 hex digits under which a secret that is only looked up is stored."""
    message = f"{purpose}\n{text}".encode()
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
