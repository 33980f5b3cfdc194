"""Addresses of the provider in `identity_provider`, and what it says of its users."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from django.conf import settings
from django.urls import include, path

urlpatterns = [
    path("", include("allauth.idp.urls")),
    path("accounts/", include("allauth.account.urls")),
]


class Adapter(DefaultOIDCAdapter):
    """Says what the test wrote into the file of users."""

    def _said(self, user: Any) -> dict[str, Any]:
        if not settings.USERS_FILE.exists():
            return {}
        said: dict[str, Any] = json.loads(settings.USERS_FILE.read_text())
        return said.get(user.get_username(), {})

    def get_claims(self, purpose: str, user: Any, *rest: Any, **more: Any) -> dict[str, Any]:
        """Return the user's claims; some are for userinfo alone."""
        del rest, more
        said = self._said(user)
        self._last = said
        claims = {name: claim for name, claim in said.items() if not name.startswith("_")}
        told = said.get("_told", {}) if purpose == "userinfo" else {}
        return {"sub": f"subject of {user.get_username()}", **claims, **told}

    def populate_id_token(self, id_token: dict[str, Any], *rest: Any, **more: Any) -> None:
        """Write over the finished token what the test wants forged."""
        del rest, more
        forged = self._last.get("_forged", {})
        Adapter.foreign = bool(self._last.get("_foreign_key"))
        id_token.update(forged)
        for name in [name for name, value in forged.items() if value is None]:
            del id_token[name]

    def get_signing_key(self) -> Any:
        """Sign with the published key, or with one that nobody knows."""
        if getattr(Adapter, "foreign", False):
            return SimpleNamespace(pem=settings.FOREIGN_KEY)
        return super().get_signing_key()
