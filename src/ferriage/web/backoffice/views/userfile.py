"""Importing a list of people: a report of each line first, then all of it or nothing."""

from __future__ import annotations

import base64
import csv
import io
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.core.errors import FerriageError
from ferriage.members import actions, queries, userfile
from ferriage.members.models import ClosedService
from ferriage.web.backoffice.views.members import invitation_link
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.members.actions import Imported
    from ferriage.members.userfile import Report
    from ferriage.web.backoffice.access import StaffRequest

UNPROCESSABLE = 422
MOST_BYTES = 4 * userfile.MOST_CHARACTERS
LANGUAGES = [code for code, _name in settings.LANGUAGES]


class FileForm(forms.Form):
    """A file, or its text pasted."""

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        required=False,
        help_text=gettext_lazy("UTF-8, at most 5,000 people."),
    )
    text = forms.CharField(
        label=gettext_lazy("Or paste it"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text=gettext_lazy("First line: reference,name,language. The language may be missing."),
    )

    def clean(self) -> dict[str, Any]:
        """Put the text of whichever was given under `csv`."""
        typed = super().clean() or {}
        if typed.get("file"):
            try:
                typed["csv"] = typed["file"].read(MOST_BYTES).decode("utf-8")
            except UnicodeDecodeError:
                self.add_error("file", _("This file is not UTF-8. Save it as CSV in UTF-8."))
        elif typed.get("text"):
            typed["csv"] = typed["text"]
        else:
            raise forms.ValidationError(_("Choose a file or paste its text."))
        return typed


class ApplyForm(forms.Form):
    """What was reported, and what to do with those whom the file does not name."""

    csv = forms.CharField(strip=False, widget=forms.HiddenInput)
    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    leave_missing = forms.BooleanField(
        label=gettext_lazy("This is the whole list: who is missing from it has left."),
        required=False,
    )
    with_invitations = forms.BooleanField(
        label=gettext_lazy("Make an invitation link for everybody who joins."), required=False
    )


def import_people(request: StaffRequest, code: str) -> HttpResponse:
    """Take a file in two steps: report, then apply what was reported."""
    closed = get_object_or_404(
        ClosedService.objects.select_related("service", "plan"), service__code=code
    )
    if "digest" in request.POST:
        return _apply(request, closed)
    posted = request.method == "POST"
    form = FileForm(*((request.POST, request.FILES) if posted else ()))
    if posted and form.is_valid():
        return _report_page(request, closed, form.cleaned_data["csv"])
    status = UNPROCESSABLE if form.errors else 200
    context = {"closed": closed, "form": form}
    return render(request, "backoffice/members_import.html", context, status=status)


def _apply(request: StaffRequest, closed: ClosedService) -> HttpResponse:
    form = ApplyForm(request.POST)
    if not form.is_valid():
        return _report_page(request, closed, request.POST.get("csv", ""))
    typed = form.cleaned_data
    try:
        done = actions.import_file(
            closed=closed,
            text=_as_sent(typed["csv"]),
            languages=LANGUAGES,
            digest=typed["digest"],
            leave_missing=typed["leave_missing"],
            with_invitations=typed["with_invitations"],
            now=request.now,
            actor=request.staff.actor,
        )
    except FerriageError as refusal:
        return _report_page(request, closed, typed["csv"], refusal)
    return _done_page(request, closed, done)


def _report_page(
    request: StaffRequest, closed: ClosedService, text: str, refusal: FerriageError | None = None
) -> HttpResponse:
    text = _as_sent(text)
    report = queries.report_on(closed=closed, text=text, languages=LANGUAGES)
    first = {"csv": text, "digest": report.digest, "with_invitations": True}
    status = status_of(refusal) if refusal else UNPROCESSABLE if report.faults else 200
    context = {
        "closed": closed,
        "report": report,
        "counts": _counts(report),
        "form": ApplyForm(initial=first),
        "refusal": refusal,
    }
    return render(request, "backoffice/members_report.html", context, status=status)


def _done_page(request: StaffRequest, closed: ClosedService, done: Imported) -> HttpResponse:
    links = [(member, invitation_link(token)) for member, token in done.tokens]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("reference", "name", "link"))
    for member, link in links:
        named = (member.reference, member.name)
        writer.writerow((*map(userfile.harmless, named), link))
    encoded = base64.b64encode(file.getvalue().encode()).decode()
    context = {
        "closed": closed,
        "done": done,
        "links": links,
        "csv": f"data:text/csv;charset=utf-8;base64,{encoded}",
    }
    return render(request, "backoffice/members_imported.html", context)


def _counts(report: Report) -> dict[str, int]:
    changes: tuple[userfile.Change, ...] = ("new", "returns", "renamed", "same")
    return {change: report.count(change) for change in changes}


def _as_sent(text: str) -> str:
    """Return a text as forms send it: browsers end its lines in their own way."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
