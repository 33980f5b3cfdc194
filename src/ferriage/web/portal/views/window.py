"""The shop window: what anybody may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from ferriage.fleet.models import Line
from ferriage.web.portal import catalogue, register
from ferriage.web.portal.customer import for_everybody

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse

    from ferriage.web.portal.customer import VisitorRequest


@require_safe
@for_everybody
def home(request: VisitorRequest) -> HttpResponse:
    """Show services with plans and prices, and every public line with what it rests on."""
    language = get_language() or "en"
    lines = register.line_pages(
        _public_lines().exclude(state=Line.State.PLANNED), now=request.now, language=language
    )
    context = {
        "services": catalogue.services(now=request.now, language=language),
        "lines": lines,
        "counts": any(page.privacy_class == "B" for page in lines),
    }
    return render(request, "portal/home.html", context)


@require_safe
@for_everybody
def line(request: VisitorRequest, code: str) -> HttpResponse:
    """Show what one line rests on (rule R8), or rested on until it was closed for good."""
    found = _lines().filter(code=code)
    pages = register.line_pages(found, now=request.now, language=get_language() or "en")
    if not pages:
        raise Http404
    return render(request, "portal/line.html", {"page": pages[0]})


@require_safe
@for_everybody
def privacy(request: VisitorRequest) -> HttpResponse:
    """Say what is kept of a customer, and what is not."""
    return render(request, "portal/privacy.html")


def _lines() -> QuerySet[Line]:
    """Return every line of a service that is open to the public."""
    lines = Line.objects.filter(customer_class="public")
    return lines.select_related("party").order_by("pk")


def _public_lines() -> QuerySet[Line]:
    """Return the lines of services that are open to the public, besides those gone for good."""
    return _lines().exclude(state=Line.State.CLOSED)
