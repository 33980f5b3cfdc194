"""Parties and approvals: what an authority granted, entered by one person, verified by another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import actions, reasons, site
from ferriage.approvals.models import Approval, Evidence, Party
from ferriage.approvals.queries import versions_of
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Line
from ferriage.web.backoffice.fields import DayField, EvidenceForm, PlaceField, row
from ferriage.web.backoffice.files import evidence_file
from ferriage.web.backoffice.pages import form_page, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import FileResponse, HttpResponse

    from ferriage.web.backoffice.access import StaffRequest


State = Approval.State


class PartyForm(forms.Form):
    """A legal person."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    place = PlaceField(label=gettext_lazy("Where it sits"))
    register_number = forms.CharField(
        label=gettext_lazy("Number in its register"), max_length=60, required=False
    )


if TYPE_CHECKING:
    _LinesChoice = forms.ModelMultipleChoiceField[Line]
else:
    _LinesChoice = forms.ModelMultipleChoiceField


class LinesField(_LinesChoice):
    """Lines by their keys; a key too large for the database is none."""

    def clean(self, value: Any) -> Any:
        """Return the lines that were ticked."""
        try:
            return super().clean(value)
        except OverflowError as error:
            raise forms.ValidationError(_("There is no such line.")) from error


class ApprovalForm(forms.Form):
    """The beginning of an approval's record."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind"))
    holder = forms.ModelChoiceField(Party.objects.order_by("name"), label=gettext_lazy("Holder"))
    lines = LinesField(
        Line.objects.exclude(state=Line.State.CLOSED).order_by("name"),
        label=gettext_lazy("Lines in its scope"),
        widget=forms.CheckboxSelectMultiple,
    )
    capacity = forms.CharField(
        label=gettext_lazy("Capacity, as the document says it"), max_length=120, required=False
    )
    customers = forms.CharField(
        label=gettext_lazy("Whom it may serve, as the document says it"),
        max_length=200,
        required=False,
    )
    conditions = forms.CharField(
        label=gettext_lazy("Conditions"), required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    renews = forms.ModelChoiceField(
        Approval.objects.filter(state__in=[State.GRANTED, State.SUSPENDED]).order_by("-pk"),
        label=gettext_lazy("Renews"),
        required=False,
        help_text=gettext_lazy("The one before runs to its own end."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        packs = site.packs_in_force()
        language = get_language() or "en"
        kinds = [(code, reasons.kind_name(code, language, packs)) for code in sorted(packs.kinds)]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]

    def renewed(self) -> Approval | None:
        """Return what it renews, where the form asks for it."""
        found: Approval | None = self.cleaned_data.get("renews")
        return found

    def says(self) -> dict[str, Any]:
        """Return what was typed as the register takes it."""
        names = ("kind", "holder", "conditions", "capacity", "customers")
        lines = [line.code for line in self.cleaned_data["lines"]]
        return {**{name: self.cleaned_data[name] for name in names}, "line_codes": lines}


class GrantForm(EvidenceForm):
    """What the authority's document says."""

    number = forms.CharField(label=gettext_lazy("Number, as issued"), max_length=60)
    issued_on = DayField(label=gettext_lazy("Issued on"), required=False)
    valid_from = DayField(label=gettext_lazy("Valid from"))
    valid_to = DayField(
        label=gettext_lazy("Valid to"),
        required=False,
        help_text=gettext_lazy("Its last day, in the authority's calendar. Empty: without end."),
    )
    field_order = ["number", "issued_on", "valid_from", "valid_to", "file", "original_at"]

    def issued(self) -> actions.Issued:
        """Return the document's figures as the register takes them."""
        typed = self.cleaned_data
        return actions.Issued(
            number=typed["number"],
            issued_on=typed["issued_on"],
            valid_from=typed["valid_from"],
            valid_to=typed["valid_to"],
        )


# What staff may note that an authority or the holder did. Those that close a line go through the
# fleet, which writes its permit in the same transaction.
CHANGES: Final[dict[str, Callable[..., Approval]]] = {
    "refuse": actions.refuse,
    "suspend": fleet.suspend_approval,
    "reinstate": actions.reinstate,
    "revoke": fleet.revoke_approval,
    "surrender": actions.surrender,
}
POSSIBLE: Final[dict[str, tuple[str, ...]]] = {
    "lodged": ("refuse", "revoke"),
    "granted": ("suspend", "revoke", "surrender"),
    "suspended": ("reinstate", "revoke", "surrender"),
}
VERBS: Final = {
    "refuse": gettext_lazy("Note a refusal"),
    "suspend": gettext_lazy("Note a suspension"),
    "reinstate": gettext_lazy("Note that the suspension ended"),
    "revoke": gettext_lazy("Note a revocation"),
    "surrender": gettext_lazy("Note that it was given back"),
}


def parties(request: StaffRequest) -> HttpResponse:
    """List the legal persons that operate lines or hold approvals."""
    rows = Party.objects.order_by("name")
    return render(request, "backoffice/parties.html", {"parties": rows})


def new_party(request: StaffRequest) -> HttpResponse:
    """Record a legal person."""

    def act(typed: dict[str, Any]) -> HttpResponse:
        actions.create_party(**typed, now=request.now, actor=request.staff.actor)
        return said(request, _("The party is recorded."), "staff-parties")

    return form_page(
        request,
        PartyForm(request.POST or None),
        title=_("New party"),
        submit=_("Record"),
        back=reverse("staff-parties"),
        act=act,
        intro=_("The legal person that operates a line, or to whom an approval was given."),
    )


def index(request: StaffRequest) -> HttpResponse:
    """List all approvals, newest first."""
    rows = Approval.objects.select_related("holder").order_by("-pk")
    return render(request, "backoffice/approvals.html", {"approvals": rows})


def new(request: StaffRequest) -> HttpResponse:
    """Begin the record of an approval."""
    form = ApprovalForm(request.POST or None)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        approval = actions.record_approval(
            **form.says(),
            supersedes=form.renewed(),
            packs=site.packs_in_force(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The draft is recorded."), "staff-approval", approval.code)

    return form_page(
        request,
        form,
        title=_("New approval"),
        submit=_("Record draft"),
        back=reverse("staff-approvals"),
        act=act,
        intro=_("A draft opens nothing. Grant it with its number, dates and evidence next."),
    )


def approval(request: StaffRequest, code: str) -> HttpResponse:
    """Show one approval with its scope, evidence and what can be noted next."""
    found = row(Approval, code)
    scope = Line.objects.filter(code__in=found.lines.values("line_code")).order_by("name")
    possible = [(verb, VERBS[verb]) for verb in POSSIBLE.get(found.state, ())]
    context = {
        "approval": found,
        "kind": reasons.kind_name(found.kind, get_language() or "en", site.packs_in_force()),
        "lines": scope,
        "evidence": found.evidence.order_by("pk"),
        "answers": found.outside_answers.order_by("-pk"),
        "versions": versions_of(found),
        "waiting": found.links.filter(used_at=None, expires_at__gt=request.now).exists(),
        "can_be_corrected": found.state in {State.DRAFT, State.LODGED, State.GRANTED}
        and not Approval.objects.filter(supersedes=found, is_correction=True).exists(),
        "changes": possible,
        "same_person": request.staff.actor.is_called(found.entered_by),
    }
    return render(request, "backoffice/approval.html", context)


def lodge(request: StaffRequest, code: str) -> HttpResponse:
    """Note that the application was sent, with proof."""
    found = row(Approval, code)
    form = EvidenceForm(request.POST or None, request.FILES or None)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.lodge(
            approval=found,
            file=form.evidence(),
            store_dir=site.evidence_dir(),
            now=request.now,
            actor=request.staff.actor,
        )
        return said(request, _("The application is noted as sent."), "staff-approval", code)

    return form_page(
        request,
        form,
        title=_("Application sent"),
        submit=_("Note as sent"),
        back=reverse("staff-approval", args=[code]),
        act=act,
        intro=_("Attach the authority's acknowledgement or the proof of sending."),
    )


def grant(request: StaffRequest, code: str) -> HttpResponse:
    """Enter what the authority issued."""
    found = row(Approval, code)
    initial = _document(found.supersedes) if found.is_correction and found.supersedes else None
    form = GrantForm(request.POST or None, request.FILES or None, initial=initial)

    def act(_typed: dict[str, Any]) -> HttpResponse:
        actions.grant(
            approval=found,
            issued=form.issued(),
            file=form.evidence(),
            store_dir=site.evidence_dir(),
            now=request.now,
            actor=request.staff.actor,
        )
        text = _("Entered. It counts once another person has verified it.")
        return said(request, text, "staff-approval", code)

    return form_page(
        request,
        form,
        title=_("Approval granted"),
        submit=_("Enter"),
        back=reverse("staff-approval", args=[code]),
        act=act,
        intro=_("Copy what the authority's document says. Another person verifies it."),
    )


def verify(request: StaffRequest, code: str) -> HttpResponse:
    """Confirm as a second person that the record says what the evidence says."""
    fleet.verify_approval(approval=row(Approval, code), now=request.now, actor=request.staff.actor)
    return said(request, _("Verified. The approval counts from now on."), "staff-approval", code)


def change(request: StaffRequest, code: str, verb: str) -> HttpResponse:
    """Note what the authority or the holder did, after asking once more."""
    found = row(Approval, code)
    if verb not in CHANGES:
        raise Http404

    def act(_typed: dict[str, Any]) -> HttpResponse:
        CHANGES[verb](approval=found, now=request.now, actor=request.staff.actor)
        return said(request, _("Noted."), "staff-approval", code)

    return form_page(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        title=str(VERBS[verb]),
        submit=str(VERBS[verb]),
        back=reverse("staff-approval", args=[code]),
        act=act,
        intro=_("%(approval)s. Lines that rest on it are judged again at once.")
        % {"approval": found},
    )


def _document(former: Approval) -> dict[str, Any]:
    """Return what the version before says the document says, to be held against it anew."""
    return {
        name: getattr(former, name) for name in ("number", "issued_on", "valid_from", "valid_to")
    }


def evidence(_request: StaffRequest, pk: int) -> FileResponse:
    """Hand out a file of evidence as it was handed in."""
    return evidence_file(get_object_or_404(Evidence, pk=pk))
