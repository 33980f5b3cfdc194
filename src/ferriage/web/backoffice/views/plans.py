"""Plans and prices: what is sold, on which lines, for how much."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Prefetch
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.devices.limits import change_limits
from ferriage.devices.routes import change_routes
from ferriage.fleet.models import Line
from ferriage.plans import actions, queries
from ferriage.plans.models import Offer, Plan, Price, Service
from ferriage.web.backoffice.fields import TERMS, AmountForm, row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

MEGABIT = 1_000_000
GIGABYTE = 10**9


class ServiceForm(forms.Form):
    """A VPN that is sold under a name."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=50,
        help_text=gettext_lazy("Small letters, digits and hyphens; part of its address."),
    )
    description = forms.CharField(
        label=gettext_lazy("What customers read"), max_length=300, required=False
    )


class DescriptionForm(forms.Form):
    """What customers read of a service."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    description = forms.CharField(
        label=gettext_lazy("What customers read"), max_length=300, required=False
    )


class NameForm(forms.Form):
    """What a plan is called."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)


class LimitsForm(forms.Form):
    """How fast a plan is, and how much it gives in a month."""

    down = forms.IntegerField(
        label=gettext_lazy("Mbit/s to the customer"), min_value=1, max_value=100_000, initial=100
    )
    up = forms.IntegerField(
        label=gettext_lazy("Mbit/s from the customer"), min_value=1, max_value=100_000, initial=100
    )
    quota = forms.DecimalField(
        label=gettext_lazy("GB a month"),
        required=False,
        min_value=Decimal("0.001"),
        max_value=Decimal(1_000_000),
        decimal_places=3,
        error_messages={
            "min_value": gettext_lazy(
                "Type at least 0.001 (1 MB), or leave it empty for any amount of data."
            )
        },
        help_text=gettext_lazy(
            "Both ways and all devices of a subscription together; when it is used up they are "
            "held until the month is over. Left empty, it is any amount, and nothing is counted."
        ),
    )

    def limits(self) -> dict[str, Any]:
        """Return what was typed as actions take it."""
        quota = self.cleaned_data["quota"]
        return {
            "rate_down_bps": self.cleaned_data["down"] * MEGABIT,
            "rate_up_bps": self.cleaned_data["up"] * MEGABIT,
            "quota_bytes": None if quota is None else int(quota * GIGABYTE),
        }


class PlanForm(LimitsForm):
    """What a customer gets."""

    service = forms.ModelChoiceField(Service.objects.all(), label=gettext_lazy("Service"))
    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    device_limit = forms.IntegerField(
        label=gettext_lazy("Devices"), min_value=1, max_value=100, initial=5
    )
    field_order = ["service", "name", "device_limit", "down", "up", "quota"]


class RoutesForm(forms.Form):
    """The inner networks of a plan, one a line."""

    routes = forms.CharField(
        label=gettext_lazy("Inner networks"),
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One a line, such as 10.20.0.0/16 or fd20::/64. None: the internet."
        ),
    )

    def clean_routes(self) -> list[str]:
        """Return the networks as typed, in order."""
        text: str = self.cleaned_data["routes"]
        return text.replace(",", " ").split()


class PriceForm(AmountForm):
    """The price of one term in one currency."""

    term_months = forms.TypedChoiceField(label=gettext_lazy("Term"), choices=TERMS, coerce=int)
    field_order = ["term_months", "amount", "currency"]


class OfferForm(forms.Form):
    """The line that a plan is offered on."""

    line = forms.ModelChoiceField(
        Line.objects.exclude(state=Line.State.CLOSED).order_by("name"), label=gettext_lazy("Line")
    )


def index(request: StaffRequest) -> HttpResponse:
    """List services with their plans and the prices in force."""
    in_force = Price.objects.filter(valid_to=None).order_by("currency", "term_months")
    plans = Plan.objects.order_by("pk").prefetch_related(
        Prefetch("prices", queryset=in_force, to_attr="current")
    )
    services = Service.objects.prefetch_related(Prefetch("plans", queryset=plans))
    return render(request, "backoffice/plans.html", {"services": services})


def plan(request: StaffRequest, code: str) -> HttpResponse:
    """Show one plan: its limits, prices of all time, and the lines it is offered on."""
    found = row(Plan, code)
    judged = {view.offer.pk: view for view in queries.offers_of(plan=found, now=request.now)}
    context = {
        "plan": found,
        "closed": queries.is_closed(found),
        "prices": found.prices.order_by("-valid_from", "currency", "term_months"),
        "addon_prices": found.addon_prices.order_by("-valid_from", "kind", "currency"),
        "offers": [
            (offer, judged.get(offer.pk))
            for offer in found.offers.select_related("line").order_by("pk")
        ],
        "down": found.rate_down_bps // MEGABIT,
        "up": found.rate_up_bps // MEGABIT,
    }
    return render(request, "backoffice/plan.html", context)


def new_service(request: StaffRequest) -> HttpResponse:
    """Create a service."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.create_service(**typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The service is created. Give it a plan."), "staff-plans")

    return form_page(
        request,
        ServiceForm(request.POST or None),
        title=_("New service"),
        submit=_("Create"),
        back=reverse("staff-plans"),
        act=act,
        intro=_("A VPN that is sold under a name of its own. A shop may have several."),
    )


def describe_service(request: StaffRequest, code: str) -> HttpResponse:
    """Change what a service is called and what customers read of it."""
    found = row(Service, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.describe_service(service=found, **typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The service is described."), "staff-plans")

    held = {"name": found.name, "description": found.description}
    return form_page(
        request,
        DescriptionForm(request.POST or None, initial=held),
        title=found.name,
        submit=_("Save"),
        back=reverse("staff-plans"),
        act=act,
    )


def rename_plan(request: StaffRequest, code: str) -> HttpResponse:
    """Change what a plan is called."""
    found = row(Plan, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.rename_plan(plan=found, **typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The plan is renamed."), "staff-plan", code)

    return form_page(
        request,
        NameForm(request.POST or None, initial={"name": found.name}),
        title=_("Rename %(plan)s") % {"plan": found.name},
        submit=_("Save"),
        back=reverse("staff-plan", args=[code]),
        act=act,
    )


def new_plan(request: StaffRequest) -> HttpResponse:
    """Create a plan of a service."""
    form = PlanForm(request.POST or None)

    def act(typed: dict[str, Any]) -> HttpResponse:
        made = actions.create_plan(
            service=typed["service"],
            name=typed["name"],
            device_limit=typed["device_limit"],
            **form.limits(),
            now=request.now,
            actor=request.staff.actor,
        )
        created = _("The plan is created. Offer it on a line, and give it prices.")
        return said(request, created, "staff-plan", made.code)

    return form_page(
        request,
        form,
        title=_("New plan"),
        submit=_("Create"),
        back=reverse("staff-plans"),
        act=act,
    )


def set_limits(request: StaffRequest, code: str) -> HttpResponse:
    """Let a plan be faster or give more, for everybody who holds it."""
    found = row(Plan, code)
    held = {
        "down": found.rate_down_bps // MEGABIT,
        "up": found.rate_up_bps // MEGABIT,
        "quota": None if found.quota_bytes is None else Decimal(found.quota_bytes) / GIGABYTE,
    }
    form = LimitsForm(request.POST or None, initial=held)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        change_limits(plan=found, **form.limits(), now=request.now, actor=request.staff.actor)
        return said(request, _("It holds at once; the gateways are told."), "staff-plan", code)

    return form_page(
        request,
        form,
        title=_("Speed and quota of %(plan)s") % {"plan": found.name},
        submit=_("Set them"),
        back=reverse("staff-plan", args=[code]),
        act=act,
        intro=_(
            "It holds at once for everybody who has the plan, and no connection is dropped. Once"
            " the plan has had a price they can only grow: to sell less, make another plan and"
            " withdraw this one."
        ),
    )


def set_routes(request: StaffRequest, code: str) -> HttpResponse:
    """Let a plan's devices reach listed inner networks instead of the internet."""
    found = row(Plan, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        change_routes(
            plan=found, routes=typed["routes"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The gateways are told."), "staff-plan", code)

    return form_page(
        request,
        RoutesForm(request.POST or None, initial={"routes": "\n".join(found.routes)}),
        title=_("What %(plan)s reaches") % {"plan": found.name},
        submit=_("Set networks"),
        back=reverse("staff-plan", args=[code]),
        act=act,
        intro=_(
            "With networks listed, the plan's devices reach them and nothing else. The gateways "
            "see to it at once; a device needs a new file to send them into the tunnel."
        ),
    )


def set_price(request: StaffRequest, code: str) -> HttpResponse:
    """Set the price of a term; one that is in force ends, and orders keep what they copied."""
    found = row(Plan, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.set_price(
            plan=found,
            term_months=typed["term_months"],
            money=typed["money"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The price is in force."), "staff-plan", code)

    return form_page(
        request,
        PriceForm(request.POST or None),
        title=_("Price of %(plan)s") % {"plan": found.name},
        submit=_("Set price"),
        back=reverse("staff-plan", args=[code]),
        act=act,
        intro=_("It replaces the price of that term from now on. Orders placed keep theirs."),
    )


def end_price(request: StaffRequest, code: str) -> HttpResponse:
    """Sell a term at this price no more, without another price in its place."""
    found = get_object_or_404(Price.objects.select_related("plan"), code=code)
    actions.end_price(price=found, now=request.now, actor=request.staff.actor)
    return said(request, _("The price has ended."), "staff-plan", found.plan.code)


def add_offer(request: StaffRequest, code: str) -> HttpResponse:
    """Offer a plan on a line; whether it is on sale is judged each time it is shown."""
    found = row(Plan, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.add_offer(
            plan=found, line=typed["line"], now=request.now, actor=request.staff.actor
        )
        return said(request, _("The plan is offered on the line."), "staff-plan", code)

    return form_page(
        request,
        OfferForm(request.POST or None),
        title=_("Offer %(plan)s on a line") % {"plan": found.name},
        submit=_("Offer"),
        back=reverse("staff-plan", args=[code]),
        act=act,
        intro=_("It is on sale whenever the register allows the line, and never else."),
    )


def withdraw_offer(request: StaffRequest, pk: int) -> HttpResponse:
    """Stop offering a plan on a line."""
    found = get_object_or_404(Offer.objects.select_related("plan"), pk=pk)
    actions.withdraw_offer(offer=found, now=request.now, actor=request.staff.actor)
    return said(request, _("The offer is withdrawn."), "staff-plan", found.plan.code)


def withdraw_plan(request: StaffRequest, code: str) -> HttpResponse:
    """Stop selling a plan; who holds it keeps it."""
    actions.withdraw_plan(plan=row(Plan, code), now=request.now, actor=request.staff.actor)
    return said(request, _("The plan is withdrawn. Who holds it keeps it."), "staff-plan", code)
