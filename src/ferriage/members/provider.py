"""The organisation's identity provider: OpenID Connect by authorization code with PKCE.

Talks to the provider and judges what it says; reads and writes no database. An ID token counts
only with an asymmetric signature by one of the provider's own keys, fetched anew for each sign-in,
and with issuer, audience, time and nonce as they must be.

Source: docs/decisions/0019-named-people.md
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from django.utils.translation import gettext_lazy as _
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ferriage.config import is_loopback
from ferriage.core.errors import FerriageError, OutsideError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ferriage.config import SignInConfig

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Never `none`, and none with a shared secret: those a stranger could make."""

TOTAL_SECONDS: Final = 5
"""For everything that one request of ours asks the provider."""
LEEWAY_SECONDS: Final = 30
_SOCKET_SECONDS: Final = 3
_DISCOVERY_SECONDS: Final = 600
_VERIFIER_LENGTH: Final = 64

_workers = ThreadPoolExecutor(4, thread_name_prefix="identity-provider")
_known: dict[str, tuple[float, dict[str, Any]]] = {}


class SignInRefused(FerriageError):
    """The identity provider's answer cannot be believed, or lets nobody in."""

    slug = "sign-in"
    status = 403


class ProviderAway(OutsideError):
    """The identity provider does not answer, or not as one."""

    slug = "identity-provider"


@dataclass(frozen=True, slots=True)
class Errand:
    """A browser on its way to the provider; the rest is kept here until it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says somebody is."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]


def begin(config: SignInConfig, *, redirect_uri: str) -> Errand:
    """Return where to send a browser that wants to sign in.

    Raises:
        ProviderAway: Its discovery document cannot be had or is not its own.
    """
    metadata = _within(lambda: _discover(config.issuer))
    verifier, nonce = generate_token(_VERIFIER_LENGTH), generate_token(_VERIFIER_LENGTH)
    with _session(config, metadata, redirect_uri) as session:
        url, state = session.create_authorization_url(
            metadata["authorization_endpoint"],
            state=generate_token(_VERIFIER_LENGTH),
            nonce=nonce,
            code_verifier=verifier,
        )
    return Errand(url, state, nonce, verifier)


def finish(
    config: SignInConfig,
    *,
    code: str,
    nonce: str,
    verifier: str,
    redirect_uri: str,
    now: datetime,
) -> Identity:
    """Fetch the ID token that a code stands for, and return whom it names.

    Claims that the settings ask for and the token lacks are fetched from the provider's userinfo.

    Raises:
        SignInRefused: The code or the token is not to be believed; the message says why.
        ProviderAway: The provider does not answer.
    """

    def ask() -> Identity:
        metadata = _discover(config.issuer)
        with _session(config, metadata, redirect_uri) as session:
            token = _redeem(session, metadata, code, verifier)
            found: Any = _document(metadata["jwks_uri"], session)
            keys = KeySet.import_key_set(found)
            claims = judge(
                str(token.get("id_token", "")),
                keys,
                config=config,
                nonce=nonce,
                access_token=str(token.get("access_token", "")),
                now=now,
            )
            more = _userinfo(session, metadata, claims, config)
        return Identity(config.issuer, str(claims["sub"]), {**more, **claims})

    return _within(ask)


def judge(
    id_token: str,
    keys: KeySet,
    *,
    config: SignInConfig,
    nonce: str,
    access_token: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the claims of an ID token that is what it must be.

    Raises:
        SignInRefused: Another algorithm, signature, issuer, audience or nonce, expired, or not a
            token at all.
    """
    options = {
        "iss": {"essential": True, "value": config.issuer},
        "aud": {"essential": True, "value": config.client_id},
    }
    params = {"nonce": nonce, "client_id": config.client_id, "access_token": access_token}
    registry = jws.JWSRegistry(algorithms=list(ALGORITHMS))
    try:
        token = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS), registry=registry)
        claims = CodeIDToken(token.claims, token.header, options, params)
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refused(_why(error)) from error
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise _refused("sub")
    return dict(claims)


def _why(error: Exception) -> object:
    """Return in words what a token is refused for."""
    name = getattr(error, "claim", "") or getattr(error, "error", "") or type(error).__name__
    return _WORDS.get(str(name), name)


_WORDS: Final[Mapping[str, object]] = {
    "bad_signature": _("its signature is not one of the provider's"),
    "invalid_key_id": _("its key is not one of the provider's"),
    "unsupported_algorithm": _("it is not signed in a way that can be trusted"),
    "missing_algorithm": _("it is not signed in a way that can be trusted"),
    "decode_error": _("it is not a token"),
    "exp": _("it has expired, or does not say when it does"),
    "iss": _("it comes from another provider"),
    "aud": _("it was made for another application"),
    "azp": _("it was made for another application"),
    "nonce": _("it belongs to another sign-in"),
    "at_hash": _("it belongs to another access token"),
}


def _refused(why: object) -> SignInRefused:
    return SignInRefused(
        _("The identity provider's answer was refused: %(why)s.") % {"why": why},
        _("Sign in once more; if it happens again, tell the operator of this service."),
    )


def _redeem(
    session: OAuth2Session, metadata: Mapping[str, Any], code: str, verifier: str
) -> dict[str, Any]:
    try:
        token: dict[str, Any] = session.fetch_token(
            metadata["token_endpoint"], code=code, code_verifier=verifier, allow_redirects=False
        )
    except OAuthError as error:
        raise _refused(error.error or error.description) from error
    return token


def _userinfo(
    session: OAuth2Session,
    metadata: Mapping[str, Any],
    claims: Mapping[str, Any],
    config: SignInConfig,
) -> dict[str, Any]:
    """Return what the provider says besides, when a claim is needed that the token lacks."""
    needed = (
        config.reference_claim,
        config.name_claim,
        config.active_claim,
        config.required_claim,
    )
    endpoint = metadata.get("userinfo_endpoint")
    if not endpoint or all(name in claims for name in needed if name):
        return {}
    answer = session.get(endpoint, allow_redirects=False)
    answer.raise_for_status()
    told = answer.json()
    if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
        raise _refused(_("it tells of somebody else (sub)"))
    return told


def _session(config: SignInConfig, metadata: Mapping[str, Any], redirect_uri: str) -> OAuth2Session:
    methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    basic = "client_secret_basic" in methods
    with_secret = "client_secret_basic" if basic else "client_secret_post"
    return OAuth2Session(
        client_id=config.client_id,
        client_secret=config.client_secret or None,
        token_endpoint_auth_method=with_secret if config.client_secret else "none",
        scope=" ".join(config.scopes),
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        default_timeout=_SOCKET_SECONDS,
    )


def _discover(issuer: str) -> dict[str, Any]:
    """Return the provider's own description of itself, at most ten minutes old."""
    fetched_at, metadata = _known.get(issuer, (0.0, {}))
    if metadata and time.monotonic() - fetched_at < _DISCOVERY_SECONDS:
        return metadata
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    with requests.Session() as session:
        metadata = _document(address, session)
    if metadata.get("issuer") != issuer:
        raise _away(_("it calls itself %s") % metadata.get("issuer"))
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        _check_address(str(metadata.get(name, "")))
    _known[issuer] = (time.monotonic(), metadata)
    return metadata


def _document(address: str, session: requests.Session) -> dict[str, Any]:
    _check_address(address)
    ask = requests.Session.get  # also of an OAuth session: no token goes with these
    if isinstance(session, OAuth2Session):
        answer = session.get(address, withhold_token=True, allow_redirects=False)
    else:
        answer = ask(session, address, timeout=_SOCKET_SECONDS, allow_redirects=False)
    answer.raise_for_status()
    document = answer.json()
    if not isinstance(document, dict):
        raise _away(_("%s is no JSON object") % address)
    return document


def _check_address(address: str) -> None:
    url = urlsplit(address)
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise _away(_("“%s” is not https") % address)


def _away(why: object) -> ProviderAway:
    return ProviderAway(
        _("The identity provider cannot be used now: %(why)s.") % {"why": why},
        _("Try again in a minute; if it happens again, tell the operator of this service."),
    )


def _within[T](ask: Callable[[], T]) -> T:
    """Return what a question to the provider comes to; at most four at once, five seconds each."""
    try:
        return _workers.submit(ask).result(timeout=TOTAL_SECONDS)
    except TooLate as error:
        raise _away(_("it does not answer in time")) from error
    except (requests.RequestException, ValueError, KeyError) as error:
        raise _away(type(error).__name__) from error
