"""Bank accounts and their statements: uploaded, looked at, posted; what then waits for staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.conf import settings
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.payments.models import (
    BankAccount,
    BankStatement,
    StatementFile,
    StatementLine,
)
from ferriage.payments.providers.bank import (
    booking,
    csvfile,
    files,
    queries,
    receipts,
    suggesting,
)
from ferriage.payments.providers.bank.statement import LARGEST_BYTES, StatementUnreadable
from ferriage.web.backoffice.fields import row, usual_currency
from ferriage.web.backoffice.pages import form_page, said
from ferriage.web.backoffice.words import EXPECTED, LINE_OUTCOMES
from ferriage.web.shared.words import reason

if TYPE_CHECKING:
    from datetime import datetime

    from django.core.files.uploadedfile import UploadedFile
    from django.http import HttpResponse

    from ferriage.payments.providers.bank.foreseeing import PreviewLine
    from ferriage.web.backoffice.access import StaffRequest

_NEWEST: Final = 50
_DELIMITERS: Final = [(";", ";"), (",", ","), ("\t", gettext_lazy("tabulator")), ("|", "|")]
_ENCODINGS: Final = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "gb18030": gettext_lazy("Chinese (GB 18030)"),
    "cp1252": gettext_lazy("Western Europe (Windows-1252)"),
    "big5": gettext_lazy("Chinese, traditional (Big5)"),
    "iso-8859-15": gettext_lazy("Western Europe (ISO 8859-15)"),
}
_DATE_FORMATS: Final = {
    "%Y-%m-%d": gettext_lazy("year-month-day: 2026-03-31"),
    "%d.%m.%Y": gettext_lazy("day.month.year: 31.03.2026"),
    "%d.%m.%y": gettext_lazy("day.month.year: 31.03.26"),
    "%d/%m/%Y": gettext_lazy("day/month/year: 31/03/2026"),
    "%m/%d/%Y": gettext_lazy("month/day/year: 03/31/2026"),
    "%Y/%m/%d": gettext_lazy("year/month/day: 2026/03/31"),
    "%Y.%m.%d": gettext_lazy("year.month.day: 2026.03.31"),
    "%Y%m%d": gettext_lazy("year, month, day: 20260331"),
    "%Y年%m月%d日": gettext_lazy("year, month, day: 2026年3月31日"),
}


class AccountForm(forms.Form):
    """An account of the shop at a bank."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    number = forms.CharField(
        label=gettext_lazy("IBAN or account number"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("A statement of another account is then refused."),
    )
    currency = forms.CharField(label=gettext_lazy("Currency"), max_length=3, initial=usual_currency)


class UploadForm(forms.Form):
    """A file as the bank hands it out."""

    file = forms.FileField(
        label=gettext_lazy("Bank statement"),
        help_text=gettext_lazy("camt.053 (XML) or CSV, up to 10 MiB. Nothing is posted yet."),
    )


class LayoutForm(forms.Form):
    """How a CSV is written. Columns are offered by what the heading says of them."""

    encoding = forms.ChoiceField(
        label=gettext_lazy("Encoding"),
        choices=[(name, _ENCODINGS.get(name, name)) for name in csvfile.ENCODINGS],
    )
    delimiter = forms.ChoiceField(
        label=gettext_lazy("Between the columns stands"), choices=_DELIMITERS
    )
    heading = forms.IntegerField(
        label=gettext_lazy("Row that names the columns"), min_value=1, max_value=200
    )
    date_format = forms.ChoiceField(
        label=gettext_lazy("Days are written"),
        choices=[(form, _DATE_FORMATS[form]) for form in csvfile.DATE_FORMATS],
    )
    decimal = forms.ChoiceField(
        label=gettext_lazy("Decimals stand behind"),
        choices=[
            ("", "–"),
            (",", gettext_lazy("a comma: 1.234,50")),
            (".", gettext_lazy("a point: 1,234.50")),
        ],
    )
    day = forms.TypedChoiceField(label=gettext_lazy("Day"), coerce=int)
    amount = forms.TypedChoiceField(
        label=gettext_lazy("Amount with its sign"), coerce=int, required=False, empty_value=None
    )
    incoming = forms.TypedChoiceField(
        label=gettext_lazy("Or: money in"), coerce=int, required=False, empty_value=None
    )
    outgoing = forms.TypedChoiceField(
        label=gettext_lazy("and money out"), coerce=int, required=False, empty_value=None
    )
    currency_column = forms.TypedChoiceField(
        label=gettext_lazy("Currency"), coerce=int, required=False, empty_value=None
    )
    balance = forms.TypedChoiceField(
        label=gettext_lazy("Balance after the line"), coerce=int, required=False, empty_value=None
    )
    reference = forms.TypedChoiceField(
        label=gettext_lazy("The bank's number of the line"),
        coerce=int,
        required=False,
        empty_value=None,
        help_text=gettext_lazy("Only if it is another one for each line."),
    )
    text = forms.TypedMultipleChoiceField(
        label=gettext_lazy("What the payer wrote"),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, columns: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        offered = [(number, f"{number + 1}: {name}") for number, name in enumerate(columns)]
        for name in ("amount", "incoming", "outgoing", "currency_column", "balance", "reference"):
            self._choices(name, [("", "–"), *offered])
        self._choices("day", offered)
        self._choices("text", offered)

    def _choices(self, name: str, offered: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 -- declared above
        field.choices = offered

    def layout(self) -> csvfile.Layout:
        """Return what was chosen."""
        typed = self.cleaned_data
        return csvfile.Layout(
            **typed | {"heading": typed["heading"] - 1, "text": tuple(typed["text"])}
        )


def index(request: StaffRequest) -> HttpResponse:
    """Show the accounts held against their statements, and what waits for staff."""
    accounts = list(BankAccount.objects.order_by("pk"))
    context = {
        "accounts": [(account, queries.comparison(account)) for account in accounts],
        "drafts": StatementFile.objects.filter(state=StatementFile.State.DRAFT)
        .defer("content")
        .order_by("-pk"),
        "receipts": receipts.waiting(),
        "lines": queries.waiting_lines(),
        "statements": BankStatement.objects.select_related("account").order_by("-pk")[:_NEWEST],
    }
    return render(request, "backoffice/statements.html", context)


def new_account(request: StaffRequest) -> HttpResponse:
    """Add an account at a bank."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        files.add_account(
            name=typed["name"],
            number=typed["number"],
            currency=typed["currency"].upper(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The account is added."), "staff-statements")

    return form_page(
        request,
        AccountForm(request.POST or None),
        title=_("New bank account"),
        submit=_("Add"),
        back=reverse("staff-statements"),
        act=act,
    )


def upload(request: StaffRequest, code: str) -> HttpResponse:
    """Take a file from the bank; what it would do is shown before anything is posted."""
    account = row(BankAccount, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        given: UploadedFile[bytes] = typed["file"]
        if (given.size or 0) > LARGEST_BYTES:
            raise StatementUnreadable(_("The file is larger than 10 MiB."))
        kept = files.upload(
            account=account,
            name=given.name or "",
            data=given.read(),
            now=request.now,
            actor=request.staff.actor,
        )
        return redirect("staff-statement-file", kept.code)

    return form_page(
        request,
        UploadForm(request.POST or None, request.FILES or None),
        title=_("Statement of %s") % account,
        submit=_("Look at it"),
        back=reverse("staff-statements"),
        act=act,
    )


def file(request: StaffRequest, code: str) -> HttpResponse:
    """Show what a draft says, line by line, and what posting it would do."""
    found = row(StatementFile, code)
    context: dict[str, Any] = {"file": found, "account": found.account}
    if found.state == StatementFile.State.DRAFT:
        context |= _previewed(found, request.now)
    else:
        context["posted"] = found.statements.order_by("pk")
    return render(request, "backoffice/statement_file.html", context)


def _previewed(found: StatementFile, now: datetime) -> dict[str, Any]:
    presumed = settings.FERRIAGE.shop.bank_country
    try:
        previews = queries.preview(found, presumed_place=presumed, now=now)
        files.check(found.account, [preview.statement for preview in previews])
    except StatementUnreadable as refusal:
        return {"refusal": refusal, "previews": []}
    except files.StatementRefused as refusal:
        return {"refusal": refusal, "previews": _worded(previews)}
    return {
        "previews": _worded(previews),
        "can_post": True,
        "opening": files.opening_offered(
            found.account, [preview.statement for preview in previews]
        ),
        "is_doubtful": any(preview.statement.is_doubtful for preview in previews),
        "unread": [(number + 1, name) for number, name in queries.unread_columns(found, previews)],
    }


def _worded(previews: list[queries.Preview]) -> list[tuple[queries.Preview, list[Any]]]:
    return [(preview, [(line, _expected(line)) for line in preview.lines]) for preview in previews]


def _expected(line: PreviewLine) -> str:
    words = str(EXPECTED[line.expected])
    return f"{words} ({reason(line.why)})" if line.why else words


def layout(request: StaffRequest, code: str) -> HttpResponse:
    """Say how a draft's CSV is written; the preview shows what comes of it."""
    found = row(StatementFile, code)
    data = files.content(found)
    if not data:
        return redirect("staff-statement-file", code)
    known = found.layout or _writing(data)
    initial = {**known, "heading": known["heading"] + 1}

    def act(_typed: dict[str, Any]) -> HttpResponse:
        files.set_layout(
            file=found, layout=form.layout(), now=request.now, actor=request.staff.actor
        )
        return redirect("staff-statement-file", code)

    form = LayoutForm(
        request.POST or None, initial=initial, columns=_columns(data, request.POST, known)
    )
    return form_page(
        request,
        form,
        title=_("How this file is written"),
        submit=_("Read it like this"),
        back=reverse("staff-statement-file", args=[code]),
        act=act,
        intro=_("It is kept with the account, once the file is posted."),
    )


def _writing(data: bytes) -> dict[str, Any]:
    encoding, delimiter = csvfile.guess_writing(data)
    return {"encoding": encoding, "delimiter": delimiter, "heading": 0}


def _columns(data: bytes, typed: Any, known: dict[str, Any]) -> list[str]:
    """Return the names of the columns, as far as what is chosen so far reads the file."""
    encoding, delimiter = typed.get("encoding"), typed.get("delimiter")
    chosen = encoding in csvfile.ENCODINGS and delimiter in csvfile.DELIMITERS
    try:
        table = csvfile.rows(
            data,
            encoding if chosen else known["encoding"],
            delimiter if chosen else known["delimiter"],
        )
    except StatementUnreadable:
        table = csvfile.rows(data, known["encoding"], known["delimiter"])
    heading = str(typed.get("heading", ""))
    number = int(heading) - 1 if heading.isascii() and heading.isdigit() else known["heading"]
    named = table[number] if 0 <= number < len(table) else []
    width = max((len(cells) for cells in table[:200]), default=0)
    return [named[column] if column < len(named) else "" for column in range(width)]


def post(request: StaffRequest, code: str) -> HttpResponse:
    """Post a draft: each line once, each booked by itself."""
    found = row(StatementFile, code)
    stored = booking.post_file(
        file=found,
        take_opening=request.POST.get("take_opening") == "on",
        take_doubtful=request.POST.get("take_doubtful") == "on",
        presumed_place=settings.FERRIAGE.shop.bank_country,
        now=request.now,
        actor=request.staff.actor,
    )
    return said(request, _posted(stored), "staff-statement-file", code)


def _posted(stored: list[BankStatement]) -> str:
    """Say what became of the lines that were new, and how many of each."""
    rows = queries.tallied(stored)
    if not rows:
        return _("The statement is posted. No line of it was new.")
    told = [f"{count} × {_came_to(state, outcome)}" for state, outcome, count in rows]
    return _("The statement is posted: %(lines)s.") % {"lines": "; ".join(told)}


def _came_to(state: str, outcome: str) -> object:
    return (
        EXPECTED["waits"]
        if state == StatementLine.State.WAITS
        else LINE_OUTCOMES.get(outcome, outcome)
    )


def drop(request: StaffRequest, code: str) -> HttpResponse:
    """Empty a draft without posting it."""
    files.drop(file=row(StatementFile, code), now=request.now, actor=request.staff.actor)
    return said(request, _("The file is dropped; nothing was posted."), "staff-statements")


def statement(request: StaffRequest, code: str) -> HttpResponse:
    """Show a posted statement: its lines and what each came to."""
    found = row(BankStatement, code)
    lines = found.lines.select_related("payment", "refund").order_by("booked_on", "pk")
    waited_for = suggesting.awaited(request.now)
    context = {
        "statement": found,
        "account": found.account,
        "lines": [
            (
                line,
                LINE_OUTCOMES.get(line.outcome, line.outcome),
                suggesting.nearly(line.text, waited_for) if line.outcome == "unallocated" else None,
            )
            for line in lines
        ],
    }
    return render(request, "backoffice/statement.html", context)
