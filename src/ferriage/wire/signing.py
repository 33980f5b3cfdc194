"""Keys, and signatures over requests, answers and permits."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ferriage.wire.codec import decode, encode
from ferriage.wire.records import CLOCK_TOLERANCE_SECONDS, Permit, SignedPermit, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_GATEWAY: Final = "Ferriage-Gateway"
HEADER_TIME: Final = "Ferriage-Time"
HEADER_NONCE: Final = "Ferriage-Nonce"
HEADER_SIGNATURE: Final = "Ferriage-Signature"
HEADER_NOW: Final = "Ferriage-Now"

CLOCK_REFUSED: Final = "clock"
"""The slug of a refusal that says only that the asker's time is wrong: the signature was right."""

_PLAIN: Final = re.compile(r"[0-9A-Za-z]{16,64}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


def new_private_key() -> str:
    """Return a new Ed25519 private key, base64 of its 32 bytes."""
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def public_key(private: str) -> str:
    """Return the public half, base64 of 32 bytes."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def fingerprint(public: str) -> str:
    """Return 32 hex digits that name a public key, as enrolment tokens carry them."""
    return hashlib.sha256(base64.b64decode(public)).hexdigest()[:32]


def sign(private: str, context: str, message: bytes) -> str:
    """Sign a message for one purpose; the context keeps purposes apart."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.sign(_framed(context, message))).decode()


def verify(public: str, context: str, message: bytes, signature: str) -> None:
    """Check a signature made by `sign` with the same context.

    Raises:
        WireError: It does not verify.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(_bytes(public))
        key.verify(_bytes(signature), _framed(context, message))
    except (InvalidSignature, ValueError) as error:
        raise WireError(f"the signature of this {context} does not verify") from error


def _bytes(text: str) -> bytes:
    """Decode base64 in the one spelling that encoding gives; others leave unused bits set.

    Raises:
        ValueError: Not base64, or another spelling.
    """
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw) != text.encode():
        raise ValueError("not the canonical base64 of these bytes")
    return raw


def _framed(context: str, message: bytes) -> bytes:
    return b"ferriage/1 " + context.encode() + b"\n" + message


def new_nonce() -> str:
    """Return a nonce for one request."""
    return secrets.token_hex(16)


def request_message(*, method: str, target: str, body: bytes, nonce: str, at: int) -> bytes:
    """Return what a gateway signs (context `request`); `target` is path with query."""
    body_digest = hashlib.sha256(body).hexdigest()
    return f"{method} {target}\n{body_digest}\n{nonce}\n{at}".encode()


def answer_message(*, status: int, body: bytes, gateway: str, nonce: str, now: int) -> bytes:
    """Return what site or hub signs (context `answer`), for every status, 204 and 401 too.

    It names the gateway that asked: or whoever stole one gateway's key, and stands in another's
    way, would ask with the other's nonce and hand on what is not meant for it.
    """
    return f"{status}\n{hashlib.sha256(body).hexdigest()}\n{gateway}\n{nonce}\n{now}".encode()


class Unauthentic(WireError):
    """A request that its gateway did not sign (slug `signature`), or not now (slug `clock`)."""

    def __init__(self, slug: Literal["signature", "clock"], message: str) -> None:
        super().__init__(message)
        self.slug = slug


def check_request(
    key: str, headers: Mapping[str, str], *, method: str, target: str, body: bytes, now: int
) -> str:
    """Check that a request was signed with `key` within the last minutes; return its nonce.

    The signature comes first, so that only the gateway itself learns that its clock is wrong.

    Args:
        target: Path with query, exactly as it stood in the request line.

    Raises:
        Unauthentic: It was not, or its time is more than 300 s away from `now`.
    """
    nonce, at = headers.get(HEADER_NONCE, ""), headers.get(HEADER_TIME, "")
    if not (_PLAIN.fullmatch(nonce) and _SECONDS.fullmatch(at)):
        raise Unauthentic("signature", "The request has no readable nonce and time.")
    message = request_message(method=method, target=target, body=body, nonce=nonce, at=int(at))
    try:
        verify(key, "request", message, headers.get(HEADER_SIGNATURE, ""))
    except WireError as error:
        raise Unauthentic("signature", "The request is not signed by this gateway.") from error
    if abs(int(at) - now) > CLOCK_TOLERANCE_SECONDS:
        raise Unauthentic(
            CLOCK_REFUSED, "The request's time is more than 300 s away from the site's."
        )
    return nonce


def answer_headers(
    private: str, request: Mapping[str, str], *, status: int, body: bytes, now: int
) -> dict[str, str]:
    """Return the headers that sign an answer to the request with these headers."""
    nonce = request.get(HEADER_NONCE, "")
    plain = nonce if _PLAIN.fullmatch(nonce) else ""
    gateway = request.get(HEADER_GATEWAY, "")
    message = answer_message(status=status, body=body, gateway=gateway, nonce=plain, now=now)
    return {HEADER_NOW: str(now), HEADER_SIGNATURE: sign(private, "answer", message)}


def sign_permit(private: str, permit: Permit) -> SignedPermit:
    """Sign a permit with the permit key."""
    payload = encode(permit)
    return SignedPermit(payload=payload.decode(), signature=sign(private, "permit", payload))


def open_permit(public: str, signed: SignedPermit) -> Permit:
    """Verify and decode a permit.

    Raises:
        WireError: Its signature does not verify or it is not a permit.
    """
    verify(public, "permit", signed.payload.encode(), signed.signature)
    return decode(signed.payload, Permit)
