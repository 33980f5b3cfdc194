"""What do I need? Answered from the packs, for a line that nobody has planned yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals.facts import CUSTOMER_CLASSES
from ferriage.approvals.needs import imagined
from ferriage.approvals.packfile import is_place
from ferriage.fleet.models import Line
from ferriage.web.backoffice import needed
from ferriage.web.backoffice.places import PlaceChoice, PlacesChoice
from ferriage.web.backoffice.views.lines import CLASS_NAMES

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

MOST_PLACES = 20


class NeedsForm(forms.Form):
    """A line as somebody thinks of it."""

    operate = PlaceChoice(label=gettext_lazy("Where the operator sits"))
    enter = PlaceChoice(label=gettext_lazy("Where tunnels enter"))
    exit = PlaceChoice(label=gettext_lazy("Where traffic leaves to the internet"))
    sell = PlacesChoice(label=gettext_lazy("Where its customers may be"))
    customer_class = forms.ChoiceField(
        label=gettext_lazy("Who its customers are"),
        choices=[(key, CLASS_NAMES[key]) for key in CUSTOMER_CLASSES],
    )
    use = forms.ChoiceField(
        label=gettext_lazy("What it is used for"),
        choices=[
            (Line.Use.RESALE, gettext_lazy("selling")),
            (Line.Use.INTERNAL_OFFICE, gettext_lazy("the operator's own office")),
        ],
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what is not the code of a place: the packs could not be asked about it."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ("operate", "enter", "exit", "sell"):
            typed = cleaned.get(name, ())
            places = [typed] if isinstance(typed, str) else typed
            for place in places:
                if not is_place(place):
                    self.add_error(name, _("“%s” is not the code of a place.") % place)
            if len(places) > MOST_PLACES:
                self.add_error(name, _("Ask about at most %s places at once.") % MOST_PLACES)
        return cleaned


def ask(request: StaffRequest) -> HttpResponse:
    """Show the form, and under it the answer to what was asked."""
    form = NeedsForm(request.GET or None)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        typed = form.cleaned_data
        found = needed.rows(
            imagined(
                operate=typed["operate"],
                enter=typed["enter"],
                exit_=typed["exit"],
                sell=tuple(typed["sell"]),
                customer_class=typed["customer_class"],
                use=typed["use"],
            ),
            at=request.now,
        )
        answers = {row.need.answer for row in found}
        context |= {
            "asked": typed,
            "rows": found,
            "versions": needed.versions(found),
            "barred": "not_obtainable" in answers,
            "bare": answers == {"not_required"},
            "class_name": CLASS_NAMES[typed["customer_class"]],
        }
    return render(request, "backoffice/register/needs.html", context)
