"""What most staff pages do alike: show a form, call one action, say what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.shortcuts import redirect, render

from ferriage.core.errors import FerriageError
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.forms import Form
    from django.http import HttpResponse, HttpResponseRedirect

    from ferriage.web.backoffice.access import StaffRequest

UNPROCESSABLE = 422


def form_page(
    request: StaffRequest,
    form: Form,
    *,
    title: str,
    submit: str,
    back: str,
    act: Callable[[dict[str, Any]], HttpResponse],
    intro: str = "",
    template: str = "backoffice/form.html",
    **context: Any,
) -> HttpResponse:
    """Show a form, or call `act` with what was typed.

    What was typed stays in the form when something is wrong with it or the house refuses.

    Args:
        back: Address of the page that the form belongs to.
        act: Calls the action and returns the answer.
    """
    status = 200
    if request.method == "POST":
        status = UNPROCESSABLE
        if form.is_valid():
            try:
                return act(form.cleaned_data)
            except FerriageError as refusal:
                status = status_of(refusal)
                form.add_error(None, str(refusal))
    context |= {"form": form, "title": title, "submit": submit, "back": back, "intro": intro}
    return render(request, template, context, status=status)


def said(request: StaffRequest, text: str, to: str, *args: Any) -> HttpResponseRedirect:
    """Go to a page by its URL name and say there what was done."""
    messages.success(request, text)
    return redirect(to, *args)
