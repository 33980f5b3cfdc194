"""Which ID tokens are believed: those that an honest provider never makes are made here."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, KeySet, RSAKey

from ferriage.config import SignInConfig
from ferriage.members import provider

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
CONFIG = SignInConfig(issuer="https://id.example", client_id="shop", service="office")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
GOOD = {
    "iss": "https://id.example",
    "aud": "shop",
    "sub": "lin",
    "nonce": "n",
    "iat": AT - 1,
    "exp": AT + 300,
}


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


KEYS = KeySet(
    [
        RSAKey.import_key(public_pem(RSA), {"kid": "r", "use": "sig"}),
        ECKey.import_key(public_pem(CURVE), {"kid": "e", "use": "sig"}),
    ]
)


def signed(key: Any = RSA, algorithm: str = "RS256", kid: str = "r", **claims: Any) -> str:
    return jwt.encode({**GOOD, **claims}, key, algorithm=algorithm, headers={"kid": kid})


def unsigned(header: dict[str, str], tail: str = "") -> str:
    parts = (json.dumps(part).encode() for part in (header, GOOD))
    return ".".join([*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), tail])


def judged(token: str) -> dict[str, Any]:
    return provider.judge(token, KEYS, config=CONFIG, nonce="n", access_token="", now=NOW)


@pytest.mark.parametrize(
    "token",
    [signed(), signed(algorithm="PS256"), signed(CURVE, "ES256", "e"), signed(aud=["shop"])],
    ids=["RS256", "PS256", "ES256", "list of audiences"],
)
def test_token_of_the_provider_is_believed(token: str) -> None:
    assert judged(token)["sub"] == "lin"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (unsigned({"alg": "none"}), "trusted"),
        (unsigned({"alg": "none", "kid": "r"}), "trusted"),
        (unsigned({"alg": "None", "kid": "r"}), "trusted"),
        (unsigned({"kid": "r"}), "trusted"),
        (signed(b"a secret of thirty-two bytes, or so", "HS256"), "trusted"),
        (signed(FOREIGN), "signature is not one of the provider's"),
        (signed(kid="x"), "key is not one of the provider's"),
        (signed(CURVE, "ES256", "r"), "refused"),
        (signed()[:-8] + "AAAAAAAA", "signature is not one of the provider's"),
        (unsigned({"alg": "RS256", "kid": "r"}), "refused"),
        ("", "refused"),
        ("not a token", "refused"),
        ("a.b.c", "refused"),
        (signed(exp=AT - 31), "expired"),
        (signed(iat=AT + 60), "refused"),
        (signed(nbf=AT + 60), "refused"),
        (signed(aud="another"), "another application"),
        (signed(aud="another", azp="shop"), "another application"),
        (signed(aud=["shop", "another"]), "another application"),
        (signed(azp="another"), "another application"),
        (signed(iss="https://id.example/"), "another provider"),
        (signed(nonce="m"), "another sign-in"),
        (signed(sub=""), "sub"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else str(value),
)
def test_token_that_is_not_what_it_must_be_is_refused(token: str, said: str) -> None:
    with pytest.raises(provider.SignInRefused, match=said):
        judged(token)


def test_public_key_is_no_shared_secret() -> None:
    """A token signed by HMAC with the published key as its secret: an old trick."""
    pem = public_pem(RSA)
    head, body = unsigned({"alg": "HS256", "kid": "r"}).split(".")[:2]
    mac = base64.urlsafe_b64encode(_hmac(pem, f"{head}.{body}".encode())).decode().rstrip("=")

    with pytest.raises(provider.SignInRefused, match="trusted"):
        judged(f"{head}.{body}.{mac}")


def test_a_little_drift_between_clocks_is_forgiven() -> None:
    late = NOW + timedelta(seconds=320)

    claims = provider.judge(signed(), KEYS, config=CONFIG, nonce="n", access_token="", now=late)

    assert claims["exp"] == AT + 300


def _hmac(key: bytes, message: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.new(key, message, hashlib.sha256).digest()
