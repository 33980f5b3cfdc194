"""Bytes that were set aside as more than a device's speed allows: counted, or dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.devices import setaside
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.shared.words import size as byte_size

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50
_COUNT: Final = "count"


class RulingForm(forms.Form):
    """What becomes of bytes that were set aside. `waits` is how many the page showed."""

    waits = forms.IntegerField(widget=forms.HiddenInput)
    ruling = forms.ChoiceField(
        label=gettext_lazy("What becomes of them"),
        choices=[
            (_COUNT, gettext_lazy("Count them: the customer used them")),
            ("drop", gettext_lazy("Drop them: the gateway told wrong")),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def index(request: StaffRequest) -> HttpResponse:
    """Show what waits for a ruling, page by page."""
    page = Paginator(setaside.waiting(), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "backoffice/asides.html", {"page": page})


def rule(request: StaffRequest, pk: int) -> HttpResponse:
    """Count what one counter was told, or drop it."""
    found = get_object_or_404(setaside.waiting(), pk=pk)

    def act(typed: dict[str, Any]) -> HttpResponse:
        action = setaside.count if typed["ruling"] == _COUNT else setaside.drop
        action(
            row=found,
            waits=typed["waits"],
            reason=typed["reason"],
            now=request.now,
            actor=request.staff.actor,
        )
        text = _("They are counted.") if action is setaside.count else _("They are dropped.")
        return said(request, text, "staff-asides")

    return form_page(
        request,
        RulingForm(request.POST or None, initial={"waits": found.waits}),
        title=_("%(size)s of “%(device)s”, told by %(gateway)s")
        % {
            "size": byte_size(found.waits),
            "device": found.device.name,
            "gateway": found.gateway.name,
        },
        submit=_("Decide"),
        back=reverse("staff-asides"),
        act=act,
        intro=_(
            "The device cannot have used so much in the time. Counted, they take from the quota of "
            "the month in which they were told, and may use it up at once. Dropped, they never "
            "count. Look into the gateway's log for why first; there is no way back."
        ),
    )
