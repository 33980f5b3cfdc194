"""Form fields that several staff pages share. Checks of form only: the house decides the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals.actions import EvidenceFile
from ferriage.core.money import Money, is_currency
from ferriage.plans.models import Price

if TYPE_CHECKING:
    from datetime import date

    from django.core.files.uploadedfile import UploadedFile
    from django.db.models import Model

TERMS: Final = [
    (1, gettext_lazy("1 month")),
    (6, gettext_lazy("6 months")),
    (12, gettext_lazy("12 months")),
    (24, gettext_lazy("24 months")),
]


YEARS: Final = range(1900, 3000)
"""What people mean by a year; others come from a slip or an attack, and overflow somewhere."""


def check_year(value: date | None) -> None:
    """Refuse a day that nobody can mean.

    Raises:
        ValidationError: Its year is not one of `YEARS`.
    """
    if value is not None and value.year not in YEARS:
        raise forms.ValidationError(
            _("Choose a day between 1900 and 2999; leave it empty where there is none.")
        )


class DayField(forms.DateField):
    """A day, picked from the browser's own calendar."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def validate(self, value: Any) -> None:
        """Refuse days that nobody can mean."""
        super().validate(value)
        check_year(value)


class InstantField(forms.DateTimeField):
    """An instant in UTC, to the second."""

    widget = forms.DateTimeInput(
        attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"
    )

    def validate(self, value: Any) -> None:
        """Refuse instants that nobody can mean."""
        super().validate(value)
        check_year(value)


class PlaceField(forms.CharField):
    """The ISO 3166 code of a place."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("help_text", gettext_lazy("ISO 3166 code, such as SE or DE."))
        super().__init__(max_length=6, strip=True, **options)

    def clean(self, value: Any) -> Any:
        """Return the code in capitals."""
        return super().clean(value).upper()


class PlacesField(forms.CharField):
    """Several codes of places, with commas or spaces between them."""

    def clean(self, value: Any) -> Any:
        """Return the codes in capitals, each once, as typed in order."""
        text: str = super().clean(value)
        return list(dict.fromkeys(text.upper().replace(",", " ").split()))


def usual_currency() -> str:
    """Return the currency that the shop set a price in last."""
    newest = Price.objects.order_by("-pk").values_list("currency", flat=True).first()
    return newest or "CNY"


class AmountForm(forms.Form):
    """An amount and its currency, read exactly; `cleaned_data["money"]` holds both."""

    amount = forms.CharField(
        label=gettext_lazy("Amount"),
        max_length=20,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    currency = forms.CharField(label=gettext_lazy("Currency"), max_length=3, initial=usual_currency)

    def clean(self) -> dict[str, Any]:
        """Put the amount in minor units beside what was typed."""
        cleaned: dict[str, Any] = super().clean() or {}
        if {"amount", "currency"} <= cleaned.keys():
            currency = cleaned["currency"].upper()
            if not is_currency(currency):
                self.add_error("currency", _("No currency has this code."))
                return cleaned
            try:
                cleaned["money"] = Money.parse(cleaned["amount"], currency)
            except ValueError:
                self.add_error(
                    "amount", _("This is not an amount of this currency. Write 1250 or 1250.50.")
                )
        return cleaned


class EvidenceForm(forms.Form):
    """A file that proves something; `evidence()` is what the register takes."""

    file = forms.FileField(
        label=gettext_lazy("Evidence"),
        help_text=gettext_lazy("PDF, PNG, JPEG or plain text, up to 20 MiB."),
    )
    original_at = forms.CharField(
        label=gettext_lazy("Where the original lies"), max_length=200, required=False
    )

    def evidence(self) -> EvidenceFile:
        """Return the file as it was handed in."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        return EvidenceFile(
            data=file.read(),
            title=(file.name or "")[:120],
            media_type=file.content_type or "",
            original_at=self.cleaned_data["original_at"],
        )


def row[M: Model](model: type[M], code: str) -> M:
    """Return the row that a code in an address names, or answer 404."""
    return get_object_or_404(model, code=code)
