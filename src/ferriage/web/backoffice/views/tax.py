"""Tax and documents: who sells, which rates hold, what a quarter comes to, what was paid of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals.models import Party
from ferriage.orders import papercheck, places, tax, taxreport
from ferriage.orders.actions import taxes
from ferriage.orders.models import Document, TaxRate, TaxRemittance, TaxSetup
from ferriage.orders.taxreport import Quarter
from ferriage.web.backoffice.fields import AmountForm, DayField, PlaceField, PlacesField, row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.shared import paperfiles, papers

if TYPE_CHECKING:
    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50
WHOLE = 100

if TYPE_CHECKING:
    _PartyChoice = forms.ModelChoiceField[Party]
else:
    _PartyChoice = forms.ModelChoiceField


class SetupForm(forms.Form):
    """Who sells and how that is taxed."""

    party = _PartyChoice(Party.objects.order_by("pk"), label=gettext_lazy("Who sells"))
    address = forms.CharField(
        label=gettext_lazy("Address, as invoices print it"),
        max_length=400,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    home_place = forms.CharField(
        label=gettext_lazy("Country where the seller is established"), max_length=2
    )
    regime = forms.ChoiceField(
        label=gettext_lazy("Regime"), choices=TaxSetup.Regime, widget=forms.RadioSelect
    )
    tax_id = forms.CharField(
        label=gettext_lazy("Tax number or VAT number"), max_length=40, required=False
    )
    exempt_sentence = forms.CharField(
        label=gettext_lazy("Sentence that says why no tax is charged"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("Printed on every invoice of a small business."),
    )
    also_places = PlacesField(
        label=gettext_lazy("Other countries where you are registered"),
        required=False,
        help_text=gettext_lazy("Such as GB or CH: customers there are charged its tax."),
    )
    reverse_charge = forms.BooleanField(
        label=gettext_lazy("A business of another member with a VAT number owes the tax itself"),
        required=False,
        help_text=gettext_lazy(
            "Only the form of its number is checked here. Ask the authority whether it is given."
        ),
    )
    paper_language = forms.ChoiceField(
        label=gettext_lazy("Language of documents"),
        choices=[("", gettext_lazy("the customer’s")), *papers.LANGUAGES.items()],
        required=False,
    )

    def clean_home_place(self) -> str:
        """Return the code in capitals."""
        return str(self.cleaned_data["home_place"]).upper()


class RatesForm(forms.Form):
    """Rows of the table that comes with the software, to be compared and confirmed."""

    rates = forms.MultipleChoiceField(
        label=gettext_lazy("Rates that you compared with the authority’s page"),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["rates"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 -- declared above
        field.choices = [
            (one.place, f"{one.place}: {_percent(one.rate_bps)} % ({one.from_on})")
            for one in _unconfirmed()
        ]


class RateForm(forms.Form):
    """A rate of the operator's own knowledge."""

    place = PlaceField(label=gettext_lazy("Country"))
    percent = forms.DecimalField(
        label=gettext_lazy("Rate in percent"),
        min_value=0,
        max_value=50,
        decimal_places=2,
    )
    from_on = DayField(label=gettext_lazy("In force from"))
    source = forms.CharField(label=gettext_lazy("Where you read it"), max_length=200)


class RemitForm(AmountForm):
    """Tax that was paid to an authority."""

    place = PlaceField(label=gettext_lazy("Country"))
    quarter = forms.CharField(
        label=gettext_lazy("For the quarter"), max_length=7, help_text=gettext_lazy("As 2026-Q1.")
    )
    reference = forms.CharField(
        label=gettext_lazy("The bank’s number of your payment"), max_length=100
    )
    field_order = ["place", "quarter", "amount", "currency", "reference"]


def index(request: StaffRequest) -> HttpResponse:
    """Show what holds now, what is in doubt, and what is owed."""
    setup = tax.setup_now()
    quarter = Quarter.of(request.now)
    context = {
        "setup": setup,
        "rates": TaxRate.objects.order_by("place", "-from_on", "-pk"),
        "unconfirmed": _unconfirmed(),
        "doubtful": taxreport.untaxed_by_doubt(),
        "thin": places.thinly_evidenced(),
        "owed": taxreport.owed(),
        "paid": TaxRemittance.objects.order_by("-pk")[:PER_PAGE],
        "watch": taxreport.watch(setup, request.now.year) if setup else None,
        "threshold": taxreport.THRESHOLD,
        "quarter": quarter,
        "findings": papercheck.check(),
    }
    return render(request, "backoffice/tax.html", context)


def set_up(request: StaffRequest) -> HttpResponse:
    """Say who sells and how that is taxed."""
    before = tax.setup_now()

    def act(typed: dict[str, Any]) -> HttpResponse:
        taxes.set_up_tax(**typed, now=request.now, actor=request.staff.actor)
        return said(request, _("This holds for orders placed from now on."), "staff-tax")

    names = SetupForm.base_fields
    initial = {name: getattr(before, name) for name in names} if before else {}
    if before:
        initial["also_places"] = " ".join(before.also_places)
    return form_page(
        request,
        SetupForm(request.POST or None, initial=initial),
        title=_("Who sells, and how that is taxed"),
        submit=_("Save"),
        back=reverse("staff-tax"),
        act=act,
        intro=_(
            "This software keeps records and gives no advice on tax. Ask somebody whose trade "
            "it is which of these is yours."
        ),
    )


def confirm_rates(request: StaffRequest) -> HttpResponse:
    """Confirm rows of the table that comes with the software."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        chosen = [one for one in _unconfirmed() if one.place in typed["rates"]]
        for one in chosen:
            taxes.confirm_rate(
                place=one.place,
                rate_bps=one.rate_bps,
                from_on=one.from_on,
                source=one.source,
                now=request.now,
                actor=request.staff.actor,
            )
        return said(request, _("They are charged on orders placed from now on."), "staff-tax")

    return form_page(
        request,
        RatesForm(request.POST or None),
        title=_("Confirm rates"),
        submit=_("Confirm these"),
        back=reverse("staff-tax"),
        act=act,
        intro=_(
            "Standard rates, as of %(day)s. They may be wrong or old: compare each with the page "
            "of the authority. What you do not confirm is not charged."
        )
        % {"day": taxes.compared_on()},
    )


def add_rate(request: StaffRequest) -> HttpResponse:
    """Confirm a rate that the table does not have, or has wrong."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        taxes.confirm_rate(
            place=typed["place"],
            rate_bps=int(typed["percent"] * WHOLE),
            from_on=typed["from_on"],
            source=typed["source"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("It is charged on orders placed from now on."), "staff-tax")

    return form_page(
        request,
        RateForm(request.POST or None),
        title=_("Another rate"),
        submit=_("Confirm it"),
        back=reverse("staff-tax"),
        act=act,
    )


def report(request: StaffRequest) -> HttpResponse:
    """Show what a quarter comes to by place and rate, corrections of earlier ones apart."""
    quarter = Quarter.read(request.GET.get("quarter", "")) or Quarter.of(request.now)
    context = {"quarter": quarter, "lines": taxreport.report(quarter), "owed": taxreport.owed()}
    return render(request, "backoffice/tax_report.html", context)


def report_csv(_request: StaffRequest, quarter: str) -> HttpResponse:
    """Hand out a quarter as CSV."""
    found = Quarter.read(quarter)
    if found is None:
        raise Http404
    response = HttpResponse(taxreport.csv(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="tax-{found}.csv"'
    return response


def remit(request: StaffRequest) -> HttpResponse:
    """Book tax that was paid to an authority."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        taxes.remit_tax(
            place=typed["place"],
            money=typed["money"],
            quarter=typed["quarter"].strip().upper(),
            reference=typed["reference"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The payment is booked."), "staff-tax")

    return form_page(
        request,
        RemitForm(request.POST or None),
        title=_("Tax paid to an authority"),
        submit=_("Book it"),
        back=reverse("staff-tax"),
        act=act,
        intro=_("Pay it at your bank first, then note its number here."),
    )


def documents(request: StaffRequest) -> HttpResponse:
    """List invoices and credit notes, newest first."""
    rows = Document.objects.select_related("order", "corrects").order_by("-pk")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "backoffice/documents.html", {"page": page, "query": ""})


def document(request: StaffRequest, code: str, form: str) -> HttpResponse:
    """Return one document as a file."""
    found = row(Document, code)
    usual = found.content["language"] or settings.LANGUAGE_CODE
    return paperfiles.of_document(request, form, usual, found)


def _unconfirmed() -> list[taxes.ProposedRate]:
    """Return the table's rows whose place has no confirmed rate of that day or later."""
    known = set(TaxRate.objects.values_list("place", "from_on"))
    return [
        one
        for one in taxes.proposed_rates()
        if not any(place == one.place and day >= one.from_on for place, day in known)
    ]


def _percent(bps: int) -> str:
    return f"{bps / WHOLE:.2f}".rstrip("0").rstrip(".")
