"""Payments over the net: the providers that the shop uses, and what waits for staff.

A secret is typed here and sealed; no page ever shows it again, to whoever it be.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.conf import settings
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from ferriage.orders.models import Order
from ferriage.payments import accounts, inbox, queries, seconds, settlement, suspense, twice
from ferriage.payments.models import Difference, Payment, Proposal, ProviderAccount
from ferriage.payments.providers import registry
from ferriage.plans.models import Subscription
from ferriage.web.backoffice.fields import row
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import WAITS

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

REFUSED_DAYS: Final = 7


class SecretsForm(forms.Form):
    """The secrets that a provider asks for; what was typed is never put into the page again."""

    def __init__(self, *args: Any, slug: str, **options: Any) -> None:
        super().__init__(*args, **options)
        for wanted in registry.KINDS[slug].secret_fields:
            self.fields[wanted.name] = forms.CharField(
                label=cast("str", wanted.label),
                help_text=cast("str", wanted.help_text),
                required=wanted.is_required,
                max_length=accounts.MOST_SECRET,
                widget=_secret() if wanted.is_secret else forms.TextInput(),
            )


class ProviderForm(SecretsForm):
    """A new account with a provider."""

    label = forms.CharField(
        label=gettext_lazy("What customers read"),
        max_length=60,
        help_text=gettext_lazy("Such as “Card” or “Bitcoin”."),
    )
    mode = forms.ChoiceField(
        label=gettext_lazy("What it moves"),
        choices=[
            (ProviderAccount.Mode.TEST, gettext_lazy("nothing: the provider's test mode")),
            (ProviderAccount.Mode.LIVE, gettext_lazy("real money")),
        ],
        widget=forms.RadioSelect,
        initial=ProviderAccount.Mode.TEST,
    )


class CreditForm(forms.Form):
    """Whose balance money is credited to: the customer is known by an order of theirs."""

    order = forms.CharField(
        label=gettext_lazy("Code of an order of the customer"),
        max_length=24,
        help_text=gettext_lazy("They see it on their own pages. The order itself is not changed."),
    )

    def clean_order(self) -> Order:
        """Return the order that has the code.

        Raises:
            ValidationError: There is none, or nobody it belongs to any more.
        """
        found = Order.objects.select_related("account").filter(
            code=self.cleaned_data["order"].strip(), account__isnull=False
        )
        order = found.first()
        if order is None:
            raise forms.ValidationError(_("No customer has an order with this code."))
        return order


def worklist(request: StaffRequest) -> HttpResponse:
    """Show the providers, money without an order, refunds, disputes and differences."""
    since = request.now.date() - timedelta(days=REFUSED_DAYS)
    context = {
        "work": queries.worklist(request.now),
        "past": queries.past_disputes(),
        "twice": twice.waiting(),
        "proposals": _proposals(),
        "accounts": ProviderAccount.objects.order_by("-enabled", "-pk"),
        "kinds": [(slug, kind.kind) for slug, kind in sorted(registry.KINDS.items())],
        "refused": inbox.refused_since(since),
        "days": REFUSED_DAYS,
    }
    return render(request, "backoffice/payments.html", context)


def _proposals() -> list[tuple[Proposal, Subscription | None]]:
    """Return what waits for a second person, with the first thing that its customer holds."""
    waiting = seconds.waiting()
    accounts = [one.balance.account_id for one in waiting if one.balance is not None]
    held = Subscription.objects.filter(account__in=accounts).order_by("-pk")
    first = {found.account_id: found for found in held}
    return [(one, first.get(one.balance.account_id) if one.balance else None) for one in waiting]


@sensitive_post_parameters()
def new(request: StaffRequest, slug: str) -> HttpResponse:
    """Add an account with a provider and put it in use."""
    if slug not in registry.KINDS:
        raise Http404

    def act(typed: dict[str, Any]) -> HttpResponse:
        accounts.add_provider(
            slug=slug,
            label=typed.pop("label"),
            mode=typed.pop("mode"),
            secrets=typed,
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("Customers can pay by it from now on."), "staff-payments")

    return form_page(
        request,
        ProviderForm(request.POST or None, slug=slug),
        title=_("Add %s") % registry.KINDS[slug].kind,
        submit=_("Add and use it"),
        back=reverse("staff-payments"),
        act=act,
        intro=_("The secrets are kept sealed, and no page shows them again. It reports to %s")
        % _events_address(slug),
    )


@sensitive_post_parameters()
def replace_secrets(request: StaffRequest, code: str) -> HttpResponse:
    """Replace the secrets of an account; those before are gone."""
    found = row(ProviderAccount, code)
    if found.slug not in registry.KINDS:
        raise Http404

    def act(typed: dict[str, Any]) -> HttpResponse:
        accounts.replace_secrets(
            account=found, secrets=typed, now=request.now, actor=request.staff.actor
        )
        return said(request, _("The secrets were replaced."), "staff-payments")

    return form_page(
        request,
        SecretsForm(request.POST or None, slug=found.slug),
        title=_("Replace the secrets of %s") % found.label,
        submit=_("Replace"),
        back=reverse("staff-payments"),
        act=act,
        intro=_("Enter all of them. What is kept now is not shown, and is gone afterwards."),
    )


def use(request: StaffRequest, code: str) -> HttpResponse:
    """Take an account out of use, or put it back."""
    found = row(ProviderAccount, code)
    enabled = not found.enabled
    accounts.set_enabled(account=found, enabled=enabled, now=request.now, actor=request.staff.actor)
    text = (
        _("Customers can pay by it from now on.")
        if enabled
        else _("Nobody can begin to pay by it. Money that still comes is booked all the same.")
    )
    return said(request, text, "staff-payments")


def credit(request: StaffRequest, code: str) -> HttpResponse:
    """Give money without an order to the balance of the customer that it came from."""
    found = get_object_or_404(Payment.objects.select_related("order"), code=code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        waits = seconds.credit(
            payment=found,
            order=typed["order"],
            limit=settings.FERRIAGE.shop.receipt_limit,
            now=request.now,
            actor=request.staff.actor,
        )
        if waits:
            return said(request, str(WAITS), "staff-payments")
        return said(request, _("It is in the customer's balance now."), listed)

    listed = "staff-payments" if found.account_id else "staff-bank"
    known = {"order": found.order.code} if found.order else {}
    return form_page(
        request,
        CreditForm(request.POST or None, initial=known),
        title=_("Credit money to a balance"),
        submit=_("Credit"),
        back=reverse(listed),
        act=act,
        intro=_("%(money)s came. The customer can pay with it what they like.")
        % {"money": suspense.rest(found)},
    )


def noted(request: StaffRequest, pk: int) -> HttpResponse:
    """Note that staff looked at a difference between the provider's books and ours."""
    found = get_object_or_404(Difference, pk=pk)
    settlement.resolve(difference=found, now=request.now, actor=request.staff.actor)
    return said(request, _("Noted."), "staff-payments")


def _events_address(slug: str) -> str:
    """Return where the provider is to report to, as it must be typed on its own pages."""
    site: str = settings.FERRIAGE.site.url.rstrip("/")
    return site + reverse("provider-events", args=[slug])


def _secret() -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False)
