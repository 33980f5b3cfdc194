"""Partners: agreements, statements and payouts. A partner sees the own statement and no other."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.conf import settings
from django.db.models import Prefetch
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.accounts.models import StaffProfile
from ferriage.core.money import Money, exponent
from ferriage.ledger import actions, partners
from ferriage.ledger.models import Agreement, Partner, Payout, Share
from ferriage.plans.models import Service
from ferriage.reports.tables import as_csv as csv_lines
from ferriage.web.backoffice.access import PARTNER
from ferriage.web.backoffice.fields import AmountForm, row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

_HEADING: Final = (
    *("month", "service", "currency", "earned_net", "carried_over"),
    *("to_split", "share_percent", "amount"),
)
_PERCENT: Final = re.compile(r"(\d{1,3})(?:[.,](\d{1,2}))? ?%?")


class PercentField(forms.CharField):
    """A percentage with at most two decimals; its value is in hundredths of a percent."""

    widget = forms.TextInput(attrs={"inputmode": "decimal"})

    def clean(self, value: Any) -> Any:
        """Read the percentage exactly."""
        return _bps(super().clean(value))


class MonthField(forms.CharField):
    """A month; its value is the first day."""

    widget = forms.TextInput(attrs={"type": "month", "placeholder": "2026-10"})

    def clean(self, value: Any) -> Any:
        """Return the month's first day, or nothing."""
        text: str = super().clean(value)
        try:
            return date.fromisoformat(f"{text}-01") if text else None
        except ValueError as error:
            raise forms.ValidationError(_("Write a month such as 2026-10.")) from error


class LoginForm(forms.Form):
    """The member of staff who sees a partner's statement, or nobody."""

    login = forms.ChoiceField(
        label=gettext_lazy("Log-in"),
        required=False,
        help_text=gettext_lazy(
            "Of the member of staff who sees the statement. Who has the role partner stands here; "
            "invite them under Staff."
        ),
    )

    def __init__(self, *args: Any, partner: Partner | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        names = set(
            StaffProfile.objects.filter(role=PARTNER).values_list("user__username", flat=True)
        )
        taken = Partner.objects.exclude(login="").values_list("login", flat=True)
        own = {partner.login} - {""} if partner else set()
        free = sorted(names.difference(taken) | own)
        self.fields["login"].choices = [("", _("nobody")), *((name, name) for name in free)]  # type: ignore[attr-defined]


class PartnerForm(LoginForm):
    """Somebody who gets a share."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=40,
        help_text=gettext_lazy("Small letters, digits and hyphens; it names an account."),
    )
    field_order = ("name", "login")


class AgreementForm(forms.Form):
    """Who gets which share of a service from a month on."""

    service = forms.ChoiceField(label=gettext_lazy("Service"))
    valid_from = MonthField(label=gettext_lazy("First month"))
    valid_to = MonthField(
        label=gettext_lazy("First month in which it holds no more"), required=False
    )
    own = PercentField(label=gettext_lazy("The operator's own share, in percent"))
    shares = forms.CharField(
        label=gettext_lazy("Partners' shares"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("One line each: the partner's name and percent, such as anna 33.33"),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        services = Service.objects.order_by("position", "pk")
        self.fields["service"].choices = [(row.slug, row.name) for row in services]  # type: ignore[attr-defined]

    def clean_shares(self) -> dict[str, int]:
        """Return the shares by partner's name."""
        shares: dict[str, int] = {}
        for line in self.cleaned_data["shares"].splitlines():
            name, _space, percent = line.strip().partition(" ")
            if not name:
                continue
            if name in shares:
                raise forms.ValidationError(_("%s stands there twice.") % name)
            shares[name] = _bps(percent.strip())
        return shares


class PaidForm(forms.Form):
    """The bank's number of a payment."""

    reference = forms.CharField(label=gettext_lazy("The bank's number of it"), max_length=100)


def index(request: StaffRequest) -> HttpResponse:
    """List the partners with what each is owed; to a partner, only themselves."""
    found = _visible(request).order_by("name")
    owed = partners.owed_by_partner()
    context: dict[str, Any] = {
        "rows": [(partner, owed.get(partner.name, [])) for partner in found],
        "agreements": None,
    }
    if request.staff.role != PARTNER:
        shares = Share.objects.select_related("partner").order_by("pk")
        agreements = Agreement.objects.prefetch_related(Prefetch("shares", queryset=shares))
        context["agreements"] = agreements.order_by("service", "-valid_from", "-pk")
    return render(request, "backoffice/partners.html", context)


def new(request: StaffRequest) -> HttpResponse:
    """Enter a partner."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        partner = actions.add_partner(**typed, now=request.now, actor=request.staff.actor)
        return said(request, _("%s is entered.") % partner, "staff-partners")

    return form_page(
        request,
        PartnerForm(request.POST or None),
        title=_("New partner"),
        submit=_("Enter"),
        back=reverse("staff-partners"),
        act=act,
    )


def log_in(request: StaffRequest, name: str) -> HttpResponse:
    """Choose who sees a partner's statement."""
    partner = get_object_or_404(Partner, name=name)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.give_login(partner=partner, **typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The log-in is changed."), "staff-partner", partner.name)

    return form_page(
        request,
        LoginForm(request.POST or None, partner=partner, initial={"login": partner.login}),
        title=_("Log-in of %(name)s") % {"name": partner},
        submit=_("Change"),
        back=reverse("staff-partner", args=[name]),
        act=act,
        intro=_("It holds from their next click on; who had it before sees the statement no more."),
    )


def agree(request: StaffRequest) -> HttpResponse:
    """Record an agreement; it is never edited."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.agree(
            service=typed["service"],
            shares={"": typed["own"], **typed["shares"]},
            valid_from=typed["valid_from"],
            valid_to=typed["valid_to"],
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The agreement is recorded."), "staff-partners")

    return form_page(
        request,
        AgreementForm(request.POST or None),
        title=_("New agreement"),
        submit=_("Record"),
        back=reverse("staff-partners"),
        act=act,
        intro=_("It replaces the one before from its first month on. All shares come to 100 %."),
    )


def statement(request: StaffRequest, name: str) -> HttpResponse:
    """Show a partner's statement, to be printed."""
    partner = get_object_or_404(_visible(request), name=name)
    context = {
        "partner": partner,
        "agreements": partners.agreed_with(partner),
        "statements": partners.statements(partner),
        "at": request.now,
    }
    return render(request, "backoffice/partner.html", context)


def as_csv(request: StaffRequest, name: str) -> StreamingHttpResponse:
    """Hand out a partner's statement as CSV."""
    partner = get_object_or_404(_visible(request), name=name)
    rows = [
        (
            f"{line.settlement.month:%Y-%m}",
            line.settlement.service,
            found.currency,
            *(
                Money(minor, found.currency).decimal()
                for minor in (
                    line.settlement.income_minor,
                    line.settlement.carried_in_minor,
                    line.settlement.split_minor,
                )
            ),
            f"{line.share_bps // 100}.{line.share_bps % 100:02}",
            Money(line.amount_minor, found.currency).decimal(),
        )
        for found in partners.statements(partner)
        for line in found.lines
    ]
    response = StreamingHttpResponse(
        csv_lines(_HEADING, rows), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="statement-{partner.name}.csv"'
    return response


def queue(request: StaffRequest, name: str) -> HttpResponse:
    """Queue money for a partner."""
    partner = get_object_or_404(Partner, name=name)

    def act(typed: dict[str, Any]) -> HttpResponse:
        payout = actions.queue_payout(
            partner=partner,
            money=typed["money"],
            second_person_above_minor=settings.FERRIAGE.shop.receipt_limit
            * 10 ** exponent(typed["money"].currency),
            now=request.now,
            actor=request.staff.actor,
        )
        text = _("%(money)s for %(name)s is queued.") % {"money": typed["money"], "name": name}
        return said(request, text, "staff-partner", payout.partner.name)

    return form_page(
        request,
        AmountForm(request.POST or None),
        title=_("Queue a payout"),
        submit=_("Queue"),
        back=reverse("staff-partner", args=[name]),
        act=act,
        intro=_("Pay it at your bank, then note the bank's number of the payment."),
    )


def note_paid(request: StaffRequest, code: str) -> HttpResponse:
    """Note a payout as paid."""
    payout = row(Payout, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.note_payout(
            payout=payout,
            **typed,
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The payout is noted."), "staff-partner", payout.partner.name)

    return form_page(
        request,
        PaidForm(request.POST or None),
        title=_("Payout to %s") % payout.partner,
        submit=_("Note as paid"),
        back=reverse("staff-partner", args=[payout.partner.name]),
        act=act,
        intro=str(Money(payout.amount_minor, payout.currency)),
    )


def cancel(request: StaffRequest, code: str) -> HttpResponse:
    """Take a payout off the queue."""
    payout = actions.cancel_payout(
        payout=row(Payout, code), now=request.now, actor=request.staff.actor
    )
    return said(request, _("The payout is cancelled."), "staff-partner", payout.partner.name)


def _visible(request: StaffRequest) -> QuerySet[Partner]:
    """Return whose statements somebody may see: a partner's only the own one."""
    if request.staff.role == PARTNER:
        return Partner.objects.filter(login=request.staff.user.get_username())
    return Partner.objects.all()


def _bps(text: str) -> int:
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise forms.ValidationError(_("“%s” is not a percentage such as 33.33.") % text)
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
