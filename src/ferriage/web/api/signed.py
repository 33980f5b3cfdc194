"""Answers to gateways: always signed with the permit key, refusals too.

A gateway uses no answer that does not verify; and it learns site time from the signed `now`, so
that a wrong clock heals.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from ferriage import wire
from ferriage.core import clock
from ferriage.core.errors import FerriageError
from ferriage.fleet import site

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import msgspec

LARGEST_BYTES = 2 * 1024 * 1024


class NotSigned(FerriageError):
    """The request is not signed by its gateway, or not within the last minutes."""

    status = 401

    def __init__(self, error: wire.Unauthentic) -> None:
        super().__init__(str(error))
        self.slug = error.slug


class Malformed(FerriageError):
    """The body is not what this release's agents send."""

    slug = "malformed"
    status = 400


def answered(
    view: Callable[[HttpRequest, datetime], msgspec.Struct],
) -> Callable[[HttpRequest], HttpResponse]:
    """Turn a function from request to structure into a view with a signed answer.

    Only POST is answered. A refusal becomes a `wire.Problem` with its own status.
    """

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        now = clock.now()
        try:
            _check_form(request)
            return _signed(request, 200, view(request, now), now)
        except FerriageError as error:
            problem = wire.Problem(slug=error.slug, message=str(error))
            return _signed(request, error.status, problem, now)

    return wrapped


def decoded[T](request: HttpRequest, kind: type[T]) -> T:
    """Return the body as one structure.

    Raises:
        Malformed: It is not.
    """
    try:
        return wire.decode(request.body, kind)
    except wire.WireError as error:
        raise Malformed(str(error)) from error


def check_signature(request: HttpRequest, key: str, now: datetime) -> None:
    """Check that the request was signed with a key just now.

    Raises:
        NotSigned: It was not.
    """
    try:
        wire.check_request(
            key,
            request.headers,
            method=request.method or "",
            target=request.get_full_path(),
            body=request.body,
            now=clock.unix(now),
        )
    except wire.Unauthentic as error:
        raise NotSigned(error) from error


def _check_form(request: HttpRequest) -> None:
    if request.method != "POST":
        raise Malformed("Only POST is answered here.")
    if int(request.headers.get("Content-Length") or 0) > LARGEST_BYTES:
        raise Malformed("The body is larger than 2 MiB.")


def _signed(request: HttpRequest, status: int, body: msgspec.Struct, now: datetime) -> HttpResponse:
    content = wire.encode(body)
    headers = wire.answer_headers(
        site.permit_key(), request.headers, status=status, body=content, now=clock.unix(now)
    )
    return HttpResponse(content, status=status, content_type="application/json", headers=headers)
