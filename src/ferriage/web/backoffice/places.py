"""Places chosen by their names; one that no rule pack on file names is typed by its code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ferriage.approvals import reasons
from ferriage.approvals.site import packs_on_file
from ferriage.web.backoffice.fields import PlaceField, PlacesField

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER: Final = "_other"
"""Ends the name of the input that takes a code."""


def known_places() -> list[tuple[str, str]]:
    """Return the code and name of each place whose law is on file, by name."""
    packs, language = packs_on_file(), get_language() or "en"
    named = [(code, reasons.place_name(code, language, packs)) for code in packs.by_place]
    return sorted(named, key=lambda pair: pair[1])


class OnePlace(forms.Widget):
    """A list of names, and beside it an input for the code of a place that is not on it."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Return both; what was typed stays where it was typed."""
        del renderer
        known, chosen = known_places(), _code(value)
        is_known = chosen in dict(known)
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            ((code, _if(code == chosen, "selected"), title) for code, title in known),
        )
        select = format_html(
            '<select name="{}" id="{}"{}><option value="">{}</option>{}</select>',
            name,
            (attrs or {}).get("id", ""),
            _if((attrs or {}).get("aria-invalid"), "aria-invalid=true"),
            _("Choose a place"),
            options,
        )
        return format_html("{}{}", select, _other_input(name, "" if is_known else chosen))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the code that was typed, else the one that was chosen."""
        del files
        return data.get(name + OTHER, "").strip() or data.get(name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Tell whether neither was sent."""
        del files
        return name not in data and name + OTHER not in data


class ManyPlaces(OnePlace):
    """A box to tick for each name, and beside them an input for codes of others."""

    use_fieldset = True

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Return all of them; what was typed stays where it was typed."""
        del renderer, attrs
        known, chosen = known_places(), _codes(value)
        boxes = format_html_join(
            "",
            '<label><input type="checkbox" name="{}" value="{}"{}> {}</label>',
            ((name, code, _if(code in chosen, "checked"), title) for code, title in known),
        )
        others = [code for code in chosen if code not in dict(known)]
        return format_html("{}{}", boxes, _other_input(name, ", ".join(others)))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return all codes in one text."""
        del files
        ticked = data.getlist(name) if hasattr(data, "getlist") else [data.get(name, "")]
        return ", ".join(filter(None, [*ticked, data.get(name + OTHER, "").strip()]))

    def id_for_label(self, id_: str, index: Any = None) -> str:
        """Return nothing: each box has a label of its own."""
        del id_, index
        return ""


class PlaceChoice(PlaceField):
    """A place, chosen by its name."""

    widget = OnePlace

    def __init__(self, **options: Any) -> None:
        super().__init__(help_text="", **options)


class PlacesChoice(PlacesField):
    """Several places, chosen by their names."""

    widget = ManyPlaces


def _other_input(name: str, value: str) -> SafeString:
    return format_html(
        '<label class="row"><span class="hint">{}</span>'
        '<input name="{}{}" value="{}" maxlength="60" autocomplete="off" spellcheck="false">'
        "</label>",
        _("Another place, by its ISO 3166 code:"),
        name,
        OTHER,
        value,
    )


def _if(yes: object, attribute: str) -> SafeString:
    """Return an attribute of ours, or nothing."""
    return SafeString(f" {attribute}" if yes else "")


def _code(value: Any) -> str:
    return str(value or "").strip().upper()


def _codes(value: str | Iterable[str] | None) -> list[str]:
    """Return codes of a text or a list; as typed, so that a wrong one is shown again."""
    text = value if isinstance(value, str) else " ".join(value or ())
    return text.upper().replace(",", " ").split()
