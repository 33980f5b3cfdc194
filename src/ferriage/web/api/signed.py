"""Answers to gateways: always signed with the permit key, refusals too.

A gateway uses no answer that does not verify; and it learns site time from the signed `now`, so
that a wrong clock heals.
"""

from __future__ import annotations

import ipaddress
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
    from ipaddress import IPv4Address, IPv6Address

_TOLD = "ferriage.told"
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
    view: Callable[[HttpRequest, datetime], wire.Struct],
) -> Callable[[HttpRequest], HttpResponse]:
    """Turn a function from request to structure into a view with a signed answer.

    Only POST is answered, in the format that the request is in. A refusal becomes a `wire.Problem`
    with its own status. It is signed with the time of the request, or what `tell` says instead.
    """

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        now = clock.now()
        try:
            _check_form(request)
            answer = view(request, now)
            content = wire.encode_for(answer, wire.format_of(request.body))
            return _signed(request, 200, content, _told(request, now))
        except FerriageError as error:
            problem = wire.Problem(slug=error.slug, message=str(error))
            content = wire.encode(problem)
            return _signed(request, error.status, content, _told(request, now))

    return wrapped


def tell(request: HttpRequest, now: datetime) -> None:
    """Sign the answer to a request with this time, refusals too."""
    request.META[_TOLD] = now


def _told(request: HttpRequest, now: datetime) -> datetime:
    told: datetime = request.META.get(_TOLD, now)
    return told


def decoded[T](request: HttpRequest, kind: type[T]) -> T:
    """Return the body as one structure.

    Raises:
        Malformed: It is not.
    """
    try:
        return wire.decode(request.body, kind)
    except wire.WireError as error:
        raise Malformed(str(error)) from error


def format_of(request: HttpRequest) -> int:
    """Return the format that a request is in, which may be none of ours.

    Raises:
        Malformed: It names none.
    """
    try:
        return wire.format_of(request.body)
    except wire.WireError as error:
        raise Malformed(str(error)) from error


def outward_address(request: HttpRequest) -> str:
    """Return the address that a request came from; empty when that cannot be told.

    Only a proxy on this very host is believed, and only in what it added itself.
    """
    seen = _address(request.META.get("REMOTE_ADDR", ""))
    if seen is not None and seen.is_loopback:
        seen = _address(request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip())
    return "" if seen is None or seen.is_loopback else str(seen)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


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


def check_size(request: HttpRequest) -> None:
    """Refuse a body that no agent sends, before it is read.

    Raises:
        Malformed: It is too large.
    """
    if int(request.headers.get("Content-Length") or 0) > LARGEST_BYTES:
        raise Malformed("The body is larger than 2 MiB.")


def _signed(request: HttpRequest, status: int, content: bytes, now: datetime) -> HttpResponse:
    headers = wire.answer_headers(
        site.permit_key(), request.headers, status=status, body=content, now=clock.unix(now)
    )
    return HttpResponse(content, status=status, content_type="application/json", headers=headers)
