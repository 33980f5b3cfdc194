"""A real OpenID Connect provider on loopback: django-allauth's, with a database of its own.

    test ── Provider ── starts ──> this program ── http://127.0.0.1:PORT
                 └── users.json: what it says of whom, read anew for each token

Run as a program it is another Django, apart from the shop's. It shares no code with the library
that the shop signs in with. `claims` of a user go into the ID token; under `_told` stand claims
that only userinfo tells, under `_forged` claims that are written over the finished token, and with
`_foreign_key` it is signed by a key that the provider does not publish.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENT_ID, SECRET, PASSWORD = "shop", "of the shop", "of the person"


@dataclass(frozen=True)
class Provider:
    """A provider that runs; `close` ends it."""

    directory: Path
    port: int
    program: subprocess.Popen[bytes]

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, **users: dict[str, Any]) -> None:
        """Let the provider say this of its users from now on."""
        (self.directory / "users.json").write_text(json.dumps(users))

    def visit(self, address: str, user: str) -> str:
        """Go where the shop sends a browser, log in, and return the address it is sent back to."""
        with requests.Session() as browser:
            page = browser.get(address, timeout=10)
            assert "/login/" in page.url, page.text
            form = {
                "login": user,
                "password": PASSWORD,
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
                "next": f"{urlsplit(address).path}?{urlsplit(address).query}",
            }
            answer = browser.post(page.url, form, timeout=10, allow_redirects=False)
            while urlsplit(answer.headers["Location"]).netloc in {"", f"127.0.0.1:{self.port}"}:
                target = self.issuer + answer.headers["Location"].removeprefix(self.issuer)
                answer = browser.get(target, timeout=10, allow_redirects=False)
                assert answer.status_code == 302, answer.text
            return answer.headers["Location"]

    def close(self) -> None:
        self.program.kill()
        self.program.wait(10)


def start(directory: Path, redirect_uri: str, users: Iterable[str]) -> Provider:
    """Start a provider that knows one application and these users."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (directory / "provider.log").open("ab") as log:
        program = subprocess.Popen(
            [sys.executable, __file__, str(directory), str(port), redirect_uri, *users],
            stdout=log,
            stderr=log,
        )
    provider = Provider(directory, port, program)

    def answers() -> bool:
        assert program.poll() is None, (directory / "provider.log").read_text()
        url = f"{provider.issuer}/.well-known/openid-configuration"
        return requests.get(url, timeout=5).status_code == 200

    try:
        eventually(answers, within=30, every=0.1)
    except BaseException:
        provider.close()
        raise
    return provider


# --- the program ------------------------------------------------------------------------------


def _key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def _configure(directory: Path) -> None:
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="of the provider",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="identity_provider_urls",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "idp.sqlite3"}
        },
        INSTALLED_APPS=[
            *("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"),
            *("django.contrib.messages", "allauth", "allauth.account", "allauth.idp.oidc"),
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        ACCOUNT_EMAIL_VERIFICATION="none",
        ACCOUNT_RATE_LIMITS=False,
        IDP_OIDC_PRIVATE_KEY=_key(),
        IDP_OIDC_RATE_LIMITS=False,
        IDP_OIDC_ADAPTER="identity_provider_urls.Adapter",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USERS_FILE=directory / "users.json",
        FOREIGN_KEY=_key(),
    )
    django.setup()


def _fill(redirect_uri: str, users: Iterable[str]) -> None:
    from allauth.idp.oidc.models import Client
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    client = Client(id=CLIENT_ID, name="Shop", skip_consent=True)
    client.set_secret(SECRET)
    client.set_scopes(["openid", "profile"])
    client.set_redirect_uris([redirect_uri])
    client.save()
    for name in users:
        User.objects.create_user(name, password=PASSWORD)


def main() -> None:
    """Serve until killed."""
    directory, port, redirect_uri, *users = sys.argv[1:]
    _configure(Path(directory))
    _fill(redirect_uri, users)
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer, make_server

    from django.core.wsgi import get_wsgi_application

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    make_server("127.0.0.1", int(port), get_wsgi_application(), Server).serve_forever()


if __name__ == "__main__":
    main()
