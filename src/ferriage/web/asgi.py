"""What `ferriage site` serves: Django, behind a front that threads do not wait in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.http.cookie import parse_cookie

from ferriage.web import listener
from ferriage.web.front import Front
from ferriage.web.wsgi import application as django

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ferriage.web.front import Receive, Send

THREADS: Final = 4
"""In each process: two slow pages must not stop the shop."""

LARGEST_UPLOAD: Final = 21 * 1024 * 1024
"""The largest file that staff hand in, evidence of 20 MiB, and the form around it, in bytes."""


def is_staff(scope: MutableMapping[str, Any]) -> bool:
    """Tell whether a request comes from somebody who is logged in, before any of its body is."""
    texts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    key = parse_cookie("; ".join(texts)).get(settings.SESSION_COOKIE_NAME)
    if not key:
        return False
    # No request of Django's begins or ends here, which else see to the thread's connection.
    close_old_connections()
    try:
        return SESSION_KEY in SessionStore(key)
    finally:
        close_old_connections()


_front = Front(
    django,
    threads=THREADS,
    uploads={"/staff/": LARGEST_UPLOAD},
    known=is_staff,
    apart=["/gateway/"],
)
# Once, and not before the first request: the server listens only after this file was read.
_bound_once = cache(listener.bound)


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request."""
    _bound_once()
    await _front(scope, receive, send)
