"""The books: what every account holds, the entries behind each figure, and their export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from ferriage.ledger import export as exports
from ferriage.ledger import income, queries, reversing
from ferriage.ledger.models import LedgerAccount
from ferriage.payments.models import Payment
from ferriage.payments.queries import check

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.web.backoffice.access import StaffRequest

PER_PAGE = 50


def trial_balance(request: StaffRequest) -> HttpResponse:
    """Show every account's debit, credit and balance; per currency they sum to nothing.

    Holding the books against everything they come from reads every row, so it waits to be asked.
    """
    rows = queries.trial_balance()
    sums: dict[str, list[int]] = {}
    for row in rows:
        total = sums.setdefault(row.currency, [0, 0, 0])
        for index, minor in enumerate((row.debit_minor, row.credit_minor, row.balance_minor)):
            total[index] += minor
    checked = "check" in request.GET
    context = {"rows": rows, "sums": sums.items(), "checked": checked}
    return render(
        request, "backoffice/ledger.html", context | {"findings": check() if checked else []}
    )


def account(request: StaffRequest) -> HttpResponse:
    """List the entries of one account, newest first."""
    found = get_object_or_404(
        LedgerAccount, name=request.GET.get("name"), currency=request.GET.get("currency")
    )
    before = request.GET.get("before", "")
    page = income.entries_of_account(
        found, before=int(before) if before.isdecimal() else None, limit=PER_PAGE
    )
    query = request.GET.copy()
    query.pop("before", None)
    context = {"account": found, "page": page, "query": query.urlencode()}
    return render(request, "backoffice/ledger_account.html", context)


def source(request: StaffRequest, code: str) -> HttpResponse:
    """List the entries that one order, payment or batch caused."""
    rows = queries.entries(code)
    payments = Payment.objects.filter(code=code).select_related("order")
    context = {
        "code": code,
        "rows": rows,
        "undoable": reversing.undoable(rows),
        "payment": payments.prefetch_related("disputes").first(),
    }
    return render(request, "backoffice/ledger_source.html", context)


def export(_request: StaffRequest, form: str) -> StreamingHttpResponse:
    """Hand out the whole books as a Beancount file, as CSV or as a chain to be verified."""
    if form == "beancount":
        lines, media_type = exports.beancount(), "text/plain; charset=utf-8"
    elif form == "csv":
        lines, media_type = exports.csv(), "text/csv; charset=utf-8"
    elif form == "jsonl":
        lines, media_type = exports.chain(), "application/jsonl; charset=utf-8"
    else:
        raise Http404
    response = StreamingHttpResponse((f"{line}\n" for line in lines), content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="books.{form}"'
    return response
