"""What `ferriage site` serves: Django, behind a front that threads do not wait in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

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

_front = Front(django, threads=THREADS, uploads={"/staff/": LARGEST_UPLOAD})
# Once, and not before the first request: the server listens only after this file was read.
_bound_once = cache(listener.bound)


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request."""
    _bound_once()
    await _front(scope, receive, send)
