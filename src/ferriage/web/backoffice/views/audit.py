"""The audit log: who did what, and whether the chain still fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.core.paginator import Paginator
from django.db.models import Q
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from ferriage.approvals.queries import first_broken_decision
from ferriage.core.audit import first_broken
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50


class FilterForm(forms.Form):
    """What to look for; all of it is optional."""

    action = forms.CharField(label=gettext_lazy("What"), max_length=64, required=False)
    subject = forms.CharField(label=gettext_lazy("Code"), max_length=64, required=False)
    actor = forms.CharField(label=gettext_lazy("Who"), max_length=150, required=False)


def index(request: StaffRequest) -> HttpResponse:
    """List entries, newest first; `?check` walks the whole chains."""
    form = FilterForm(request.GET)
    rows = AuditEntry.objects.order_by("-sequence")
    if form.is_valid():
        rows = _filtered(rows, form.cleaned_data)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context: dict[str, object] = {"form": form, "page": page, "query": query.urlencode()}
    if "check" in request.GET:
        context |= {"checked": True, "broken": first_broken() or first_broken_decision()}
    return render(request, "backoffice/audit.html", context)


def _filtered(rows: QuerySet[AuditEntry], typed: dict[str, str]) -> QuerySet[AuditEntry]:
    if typed["action"]:
        rows = rows.filter(action__startswith=typed["action"].strip())
    if typed["subject"]:
        rows = rows.filter(subject=typed["subject"].strip())
    if typed["actor"]:
        who = typed["actor"].strip()
        rows = rows.filter(Q(actor_code=who) | Q(actor_kind=who))
    return rows
