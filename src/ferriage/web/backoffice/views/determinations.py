"""Determinations: the operator's own conclusions on what the rule packs leave unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db.models import Prefetch
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ferriage.approvals import actions, site
from ferriage.approvals.models import Determination, Evidence
from ferriage.approvals.queries import questions_left
from ferriage.fleet.models import Line
from ferriage.fleet.queries import line_facts
from ferriage.web.backoffice.fields import DayField, EvidenceForm, row
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpResponse

    from ferriage.approvals.facts import CustomerClass, Question, Use
    from ferriage.approvals.packfile import Source
    from ferriage.web.backoffice.access import StaffRequest

ROLE_NAMES = {
    "operate": gettext_lazy("to operate from %s"),
    "enter": gettext_lazy("to take in traffic in %s"),
    "exit": gettext_lazy("to let traffic out in %s"),
    "cross": gettext_lazy("to carry traffic across the border of %s"),
    "sell": gettext_lazy("to sell to customers in %s"),
}


class DeterminationForm(forms.Form):
    """Five fields, none of them filled in: what a person read and concludes."""

    words = forms.CharField(
        label=gettext_lazy("Why nothing has to be asked for, in your own words"),
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    source_clause = forms.CharField(
        label=gettext_lazy("The clause or source you read"), max_length=200
    )
    source_read_on = DayField(label=gettext_lazy("The day you read it"))
    author_name = forms.CharField(label=gettext_lazy("Your own name"), max_length=100)
    statement = forms.BooleanField(
        label=gettext_lazy(
            "I have read the source above; this is our conclusion, not legal advice."
        )
    )


class OpinionForm(EvidenceForm):
    """A lawyer's opinion: the file, who gave it, when, and what it says."""

    author_name = forms.CharField(label=gettext_lazy("The lawyer's name"), max_length=100)
    source_read_on = DayField(label=gettext_lazy("The day of the opinion"))
    words = forms.CharField(
        label=gettext_lazy("What the opinion concludes, in short"),
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    source_clause = forms.CharField(
        label=gettext_lazy("The clause or source that it rests on"), max_length=200
    )
    statement = forms.BooleanField(
        label=gettext_lazy("I have read the opinion; it speaks of exactly these questions.")
    )
    field_order = ["file", "original_at"]

    def conclusion(self) -> actions.Conclusion:
        """Return what was typed as the register takes it."""
        names = ("words", "source_clause", "source_read_on", "author_name", "statement")
        return actions.Conclusion(**{name: self.cleaned_data[name] for name in names})


def index(request: StaffRequest) -> HttpResponse:
    """List all determinations, newest first."""
    files = Prefetch("evidence", queryset=Evidence.objects.order_by("pk"))
    rows = Determination.objects.select_related("party").prefetch_related(files)
    rows = rows.order_by("-pk")
    return render(request, "backoffice/determinations.html", {"determinations": rows})


def new(request: StaffRequest, code: str) -> HttpResponse:
    """Conclude on the questions ticked on the line's page, which the register leaves unknown."""
    line = row(Line, code)
    page = "staff-wizard" if "way" in request.GET else "staff-line"
    chosen = _chosen(request, line)
    if not chosen:
        return _nothing_ticked(request, page, code)

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.record_determination(
            party=line.party,
            asked=_asked(line, chosen),
            conclusion=actions.Conclusion(**typed),
            packs=site.packs_in_force(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The determination is recorded."), page, code)

    return form_page(
        request,
        DeterminationForm(request.POST or None),
        title=_("Determination for %(line)s") % {"line": line.name},
        submit=_("Record our conclusion"),
        back=reverse(page, args=[code]),
        act=act,
        template="backoffice/determine.html",
        questions=[question_text(question) for question in chosen],
        sources=_sources(chosen),
        other=_with_questions("staff-opinion-new", code, chosen),
    )


def opinion(request: StaffRequest, code: str) -> HttpResponse:
    """Record a lawyer's opinion on the questions ticked on the line's page."""
    line = row(Line, code)
    chosen = _chosen(request, line)
    if not chosen:
        return _nothing_ticked(request, "staff-line", code)
    form = OpinionForm(request.POST or None, request.FILES or None)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.record_opinion(
            party=line.party,
            asked=_asked(line, chosen),
            conclusion=form.conclusion(),
            opinion=form.evidence(),
            store_dir=site.evidence_dir(),
            packs=site.packs_in_force(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The opinion is recorded."), "staff-line", code)

    return form_page(
        request,
        form,
        title=_("A lawyer's opinion for %(line)s") % {"line": line.name},
        submit=_("Record the opinion"),
        back=reverse("staff-line", args=[code]),
        act=act,
        template="backoffice/opinion.html",
        questions=[question_text(question) for question in chosen],
        other=_with_questions("staff-determination-new", code, chosen),
    )


def _chosen(request: StaffRequest, line: Line) -> tuple[Question, ...]:
    """Return the questions that were ticked, of those that only a determination can answer."""
    ticked = request.GET.getlist("q")
    left = questions_left(line=line_facts(line), at=request.now)
    return tuple(question for question in left if question_key(question) in ticked)


def _nothing_ticked(request: StaffRequest, page: str, code: str) -> HttpResponse:
    messages.error(request, _("Tick the questions that you want to conclude on."))
    return redirect(page, code)


def _with_questions(url_name: str, code: str, questions: Iterable[Question]) -> str:
    """Return the address of the other form for the same questions."""
    query = urlencode([("q", question_key(question)) for question in questions])
    return f"{reverse(url_name, args=[code])}?{query}"


def end(request: StaffRequest, code: str) -> HttpResponse:
    """Take a conclusion back."""
    actions.end_determination(
        determination=row(Determination, code), now=request.now, actor=request.staff.actor
    )
    return said(request, _("The determination is taken back."), "staff-determinations")


def question_key(question: Question) -> str:
    """Return a question as an address carries it."""
    return f"{question.role}:{question.place}"


def question_text(question: Question) -> str:
    """Return a question in words."""
    return str(ROLE_NAMES[question.role] % question.place)


def _sources(questions: Iterable[Question]) -> list[Source]:
    """Return what the packs of the places name for reading; never an answer."""
    law = site.packs_in_force()
    packs = (law.get(place) for place in sorted({q.place for q in questions}))
    return [source for pack in packs if pack for source in pack.sources.values()]


def _asked(line: Line, questions: tuple[Question, ...]) -> actions.Asked:
    return actions.Asked(
        questions=questions,
        customer_class=cast("CustomerClass", line.customer_class),
        use=cast("Use", line.use),
        line_code=line.code,
    )
