"""One WireGuard handshake, begun from outside, to learn whether anybody answers it rightly.

Noise_IKpsk2 as WireGuard uses it, the initiator's half alone: no session is kept and no packet
ever sent in it. Only whoever holds the gateway's private key, and knows ours as a peer, can answer.

Source: https://www.wireguard.com/protocol/
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ferriage.core import clock

if TYPE_CHECKING:
    from datetime import datetime

ANSWER_BYTES: Final = 92
_CONSTRUCTION: Final = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER: Final = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_FIRST: Final = b"\1\0\0\0"
_SECOND: Final = b"\2\0\0\0"
_NO_PRESHARED_KEY: Final = bytes(32)
_TAI64: Final = (1 << 62) + 10


class Initiation:
    """A first message, and what it takes to recognise the second."""

    def __init__(self, *, private: bytes, responder: bytes, at: datetime) -> None:
        """Make it.

        Args:
            private: The probe's own X25519 key.
            responder: The gateway's public key.
            at: A gateway takes no message that is not newer than the last one of this probe.
        """
        own, theirs = X25519PrivateKey.from_private_bytes(private), _public(responder)
        self._own = own
        self._ephemeral = X25519PrivateKey.generate()
        self._sender = secrets.token_bytes(4)
        self._chain = _hash(_CONSTRUCTION)
        self._seen = _hash(_hash(self._chain + _IDENTIFIER) + responder)
        ephemeral = self._ephemeral.public_key().public_bytes_raw()
        self._mix(ephemeral)
        static = self._seal(self._ephemeral.exchange(theirs), own.public_key().public_bytes_raw())
        stamp = self._seal(own.exchange(theirs), _tai64n(at))
        message = _FIRST + self._sender + ephemeral + static + stamp
        self.packet = message + _mac1(responder, message) + bytes(16)

    def answered_by(self, packet: bytes) -> bool:
        """Tell whether a packet is the gateway's own answer to this message."""
        right = packet[:4] == _SECOND and packet[8:12] == self._sender
        if len(packet) != ANSWER_BYTES or not right:
            return False
        chain, seen = self._chain, self._seen
        ephemeral = packet[12:44]
        try:
            self._mix(ephemeral)
            for own in (self._ephemeral, self._own):
                (self._chain,) = _derive(self._chain, own.exchange(_public(ephemeral)), 1)
            self._chain, mixed, key = _derive(self._chain, _NO_PRESHARED_KEY, 3)
            self._seen = _hash(self._seen + mixed)
            ChaCha20Poly1305(key).decrypt(bytes(12), packet[44:60], self._seen)
        except (InvalidTag, ValueError):
            self._chain, self._seen = chain, seen
            return False
        return True

    def _mix(self, ephemeral: bytes) -> None:
        (self._chain,) = _derive(self._chain, ephemeral, 1)
        self._seen = _hash(self._seen + ephemeral)

    def _seal(self, shared: bytes, plain: bytes) -> bytes:
        self._chain, key = _derive(self._chain, shared, 2)
        sealed = ChaCha20Poly1305(key).encrypt(bytes(12), plain, self._seen)
        self._seen = _hash(self._seen + sealed)
        return sealed


def _public(raw: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(raw)


def _hash(data: bytes) -> bytes:
    return blake2s(data).digest()


def _mac1(responder: bytes, message: bytes) -> bytes:
    return blake2s(message, key=_hash(b"mac1----" + responder), digest_size=16).digest()


def _derive(chain: bytes, data: bytes, count: int) -> tuple[bytes, ...]:
    """Return so many keys of 32 bytes (HKDF over HMAC-BLAKE2s, as Noise has it)."""
    secret = hmac.digest(chain, data, "blake2s")
    keys: list[bytes] = []
    for number in range(1, count + 1):
        before = keys[-1] if keys else b""
        keys.append(hmac.digest(secret, before + bytes([number]), "blake2s"))
    return tuple(keys)


def _tai64n(at: datetime) -> bytes:
    seconds = _TAI64 + clock.unix(at)
    return seconds.to_bytes(8, "big") + (at.microsecond * 1000).to_bytes(4, "big")
