"""What payment providers report: kept first, answered second, understood third."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt

from ferriage.core import clock
from ferriage.core.errors import FerriageError
from ferriage.payments import inbox, matching
from ferriage.payments.providers.contract import RawEvent

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from ferriage.payments.models import InboxEvent

LARGEST_BYTES: Final = 256 * 1024
log = structlog.get_logger()


@csrf_exempt
def events(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a provider's callback. 200 says that it is committed, whatever it comes to."""
    if request.method != "POST":
        return _answer(405, "Only POST is answered here.")
    length = request.headers.get("Content-Length") or ""
    if not length.isdecimal() or int(length) > LARGEST_BYTES:
        return _answer(413, "The body's length is unknown, or above 256 KiB.")
    now = clock.now()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        kept = inbox.receive(slug=slug, raw=RawEvent(request.body, headers, now), now=now)
    except FerriageError as refusal:
        log.warning("callback.refused", provider=slug, reason=refusal.slug)
        return _answer(refusal.status, refusal.slug)
    for event in kept:
        _handle(event, now)
    return _answer(200, "kept")


def _handle(event: InboxEvent, now: datetime) -> None:
    """Handle an event at once; what is refused now the worker does."""
    try:
        matching.handle(event=event, now=now)
    except FerriageError as refusal:
        log.warning("callback.waits", event_id=event.event_id, reason=refusal.slug)


def _answer(status: int, text: str) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type="text/plain")
