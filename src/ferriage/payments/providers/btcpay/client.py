"""Calls to one BTCPay Server: JSON over https, bounded in time and size, never redirected."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import requests
from django.utils.translation import gettext_lazy as _

from ferriage.config import is_loopback
from ferriage.payments.providers.contract import NotByThisMeans, ProviderDown

if TYPE_CHECKING:
    from collections.abc import Mapping

TOTAL_SECONDS: Final = 5
_SOCKET_SECONDS: Final = 3
_LARGEST_BYTES: Final = 1 << 20
_REFUSED: Final = frozenset({400, 422})
_workers = ThreadPoolExecutor(4, thread_name_prefix="btcpay")


class TooLarge(requests.RequestException):
    """An answer that is longer than any that the server has reason to give."""


def is_safe(address: str) -> bool:
    """Tell whether an address may be called or shown: https, or this machine itself."""
    try:
        url = urlsplit(address)
        host = url.hostname or ""
    except ValueError:
        return False
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and is_loopback(host)))


class Client:
    """One server, with the key that the shop has there."""

    def __init__(self, server: str, key: str) -> None:
        self._server = server.rstrip("/")
        self._key = key

    def get(self, *path: str, **query: str) -> Any:
        """Return what is at a path.

        Raises:
            ProviderDown: No answer in time, or not as documented.
        """
        return self._within("GET", path, query, None)

    def post(self, *path: str, body: Mapping[str, Any]) -> Any:
        """Make something and return it.

        Raises:
            NotByThisMeans: The server refuses what was sent.
            ProviderDown: No answer in time, or not as documented.
        """
        return self._within("POST", path, {}, body)

    def _within(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> Any:
        address = "/".join((self._server, "api/v1", *(quote(part, safe="") for part in path)))
        if not is_safe(address):
            raise _down(_("its address is not https"))
        asked = _workers.submit(self._call, method, address, query, body)
        try:
            status, text = asked.result(timeout=TOTAL_SECONDS)
        except TooLate as error:
            raise _down(_("it does not answer in time")) from error
        except requests.RequestException as error:
            raise _down(type(error).__name__) from error
        if body is not None and status in _REFUSED:
            raise NotByThisMeans(
                _("The BTCPay Server does not take this."),
                _("Choose another way to pay, or tell the operator of this shop."),
            )
        if status != requests.codes.ok:
            raise _down(_("it answers %d") % status)
        try:
            return json.loads(text)
        except ValueError as error:
            raise _down(_("it does not answer with JSON")) from error

    def _call(
        self, method: str, address: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        with requests.Session() as session:
            # Neither a proxy nor a .netrc of the environment comes between.
            session.trust_env = False
            with session.request(
                method,
                address,
                params=query,
                json=body,
                headers={"Authorization": f"token {self._key}", "Accept": "application/json"},
                timeout=_SOCKET_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                text = b""
                for chunk in answer.iter_content(1 << 16):
                    text += chunk
                    if len(text) > _LARGEST_BYTES:
                        raise TooLarge
                return answer.status_code, text


def _down(why: object) -> ProviderDown:
    return ProviderDown(
        _("The BTCPay Server cannot be used now: %(why)s.") % {"why": why},
        _("Nothing was lost. Try again in a minute."),
    )
