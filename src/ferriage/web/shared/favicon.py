"""The picture that browsers ask for by its old name where no page names one, as for a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_A_DAY = 86_400


@require_safe
@cache_control(public=True, max_age=_A_DAY)
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead to the picture that pages name."""
    del request
    return redirect(static("ferriage/mark.svg"))
