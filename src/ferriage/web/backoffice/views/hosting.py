"""What the hosts of gateways cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import Http404
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals import site
from ferriage.approvals.actions import EvidenceFile
from ferriage.approvals.actions.evidence import keep_receipt
from ferriage.approvals.models import Evidence
from ferriage.core.db import writing
from ferriage.core.money import Money
from ferriage.fleet.models import Gateway
from ferriage.ledger import actions
from ferriage.ledger.models import HostingBill
from ferriage.web.backoffice.fields import AmountForm, row
from ferriage.web.backoffice.files import evidence_file
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.views.partners import PaidForm

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile
    from django.http import FileResponse, HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


class BillForm(AmountForm):
    """A bill of a gateway's host."""

    gateway = forms.ChoiceField(label=gettext_lazy("Gateway"))
    what = forms.CharField(
        label=gettext_lazy("For"),
        max_length=100,
        help_text=gettext_lazy("As on the bill: whose host, which contract."),
    )
    monthly = forms.BooleanField(label=gettext_lazy("It comes each month"), required=False)
    file = forms.FileField(
        label=gettext_lazy("The bill itself"),
        required=False,
        help_text=gettext_lazy("PDF, PNG, JPEG or plain text."),
    )
    field_order = ["gateway", "what", "amount", "currency", "monthly"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        rows = Gateway.objects.order_by("name").values_list("code", "name")
        self.fields["gateway"].choices = list(rows)  # type: ignore[attr-defined]


def index(request: StaffRequest) -> HttpResponse:
    """List the bills, newest first."""
    bills = HostingBill.objects.order_by("-pk")
    names = dict(Gateway.objects.values_list("code", "name"))
    shown = [(bill, names.get(bill.gateway, bill.gateway)) for bill in bills]
    return render(request, "backoffice/hosting.html", {"bills": shown})


def new(request: StaffRequest) -> HttpResponse:
    """Enter a bill; it is owed at once."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        with writing():
            bill = actions.record_bill(
                gateway=typed["gateway"],
                what=typed["what"],
                money=typed["money"],
                monthly=typed["monthly"],
                now=request.now,
                actor=request.staff.actor,
            )
            if typed["file"]:
                _prove(bill, typed["file"], request)
        return said(request, _("The bill is entered, and owed."), "staff-hosting")

    return form_page(
        request,
        BillForm(request.POST or None, request.FILES or None),
        title=_("New bill"),
        submit=_("Enter"),
        back=reverse("staff-hosting"),
        act=act,
    )


def _prove(bill: HostingBill, given: UploadedFile[Any], request: StaffRequest) -> None:
    """Keep the file that is the bill; one that is refused enters no bill."""
    kept = keep_receipt(
        file=EvidenceFile(
            data=given.read(),
            title=(given.name or bill.code)[:120],
            media_type=given.content_type or "",
        ),
        subject=bill.code,
        store_dir=site.evidence_dir(),
        now=request.now,
        actor=request.staff.actor,
    )
    actions.prove_bill(bill=bill, sha256=kept.sha256, now=request.now, actor=request.staff.actor)


def evidence(request: StaffRequest, code: str) -> FileResponse:
    """Hand out the file that is the bill."""
    del request
    bill = row(HostingBill, code)
    found = Evidence.objects.filter(sha256=bill.evidence).order_by("pk").first()
    if not bill.evidence or found is None:
        raise Http404
    return evidence_file(found)


def note_paid(request: StaffRequest, code: str) -> HttpResponse:
    """Note that the oldest month of a bill that is owed was paid."""
    bill = row(HostingBill, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.pay_bill(bill=bill, **typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The payment is noted."), "staff-hosting")

    return form_page(
        request,
        PaidForm(request.POST or None),
        title=str(bill),
        submit=_("Note as paid"),
        back=reverse("staff-hosting"),
        act=act,
        intro=str(Money(bill.amount_minor, bill.currency)),
    )


def end(request: StaffRequest, code: str) -> HttpResponse:
    """Let a monthly bill come no more after this month."""
    actions.end_bill(bill=row(HostingBill, code), now=request.now, actor=request.staff.actor)
    return said(request, _("The bill ends after this month."), "staff-hosting")
