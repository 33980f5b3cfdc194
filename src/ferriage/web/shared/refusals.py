"""How a refusal by the house becomes a page: the table of HTTP statuses, and the error pages.

Source: docs/explanation/portal.md
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.db import DataError
from django.http import HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers

from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest

STATUSES: Final[Mapping[str, HTTPStatus]] = {
    # what was typed cannot be used as it is
    "bad-public-key": HTTPStatus.UNPROCESSABLE_ENTITY,
    "wrong-voucher": HTTPStatus.UNPROCESSABLE_ENTITY,
    "voucher-for-other-plan": HTTPStatus.UNPROCESSABLE_ENTITY,
    "label-wrong": HTTPStatus.UNPROCESSABLE_ENTITY,
    # there is no such thing, or it is somebody else's
    "not-found": HTTPStatus.NOT_FOUND,
    # the law, or what is recorded of it
    "not-on-sale": HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    "term-outlives-approval": HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    # outside trouble
    "outside": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""HTTP status by an error's slug. What is not listed answers with the status of its class."""


def status_of(refusal: FerriageError) -> int:
    """Return the HTTP status of a refusal."""
    return int(STATUSES.get(refusal.slug, refusal.status))


class RefusalMiddleware:
    """Turn a refusal that no view has caught into a page that says what happened."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; Django calls `process_exception` when a view raises.

        A browser that opens the address of a form gets a page, since it shows an empty answer as a
        fault of its own.
        """
        response = self._get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            return _not_allowed(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer an expected refusal; anything else is a bug and rises.

        What PostgreSQL cannot even read, such as a NUL in a code, was typed by nobody.
        """
        if isinstance(error, DataError):
            return bad_request(request, error)
        return refused(request, error) if isinstance(error, FerriageError) else None


def refused(request: HttpRequest, refusal: FerriageError) -> HttpResponse:
    """Return the page of a refusal: what happened, what it means, what to do."""
    return _page(request, "shared/refused.html", status_of(refusal), refusal=refusal)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that did not come from our own page, or whose page was open too long."""
    del reason  # is for developers, and not translated
    return _page(request, "shared/csrf.html", HTTPStatus.FORBIDDEN)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that makes no sense."""
    del exception
    return _page(request, "shared/400.html", HTTPStatus.BAD_REQUEST)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer somebody who may not."""
    del exception
    return _page(request, "shared/403.html", HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a page that is not there, or belongs to somebody else."""
    del exception
    return _page(request, "shared/404.html", HTTPStatus.NOT_FOUND)


def _not_allowed(request: HttpRequest, bare: HttpResponseNotAllowed) -> HttpResponse:
    """Answer whoever opens an address that only takes forms; programs get no page."""
    if "text/html" not in request.headers.get("Accept", ""):
        return bare
    page = _page(request, "shared/405.html", HTTPStatus.METHOD_NOT_ALLOWED)
    page.headers["Allow"] = bare.headers["Allow"]
    return page


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for a bug. Made without the request, so that it needs neither database nor session."""
    del request
    page = render_to_string("shared/500.html")
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _page(request: HttpRequest, template: str, status: int, **context: Any) -> HttpResponse:
    response = render(request, template, context, status=status)
    add_never_cache_headers(response)
    return response
