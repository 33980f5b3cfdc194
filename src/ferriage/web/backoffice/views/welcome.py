"""Coming in: the single-use staff link, and the page about one's own second factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.internal.flows.login import perform_login
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.account.models import Login
from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from ferriage.accounts import actions, queries
from ferriage.accounts.models import StaffLink
from ferriage.core import clock
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.web.backoffice import secondfactor
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

GONE, UNPROCESSABLE = 410, 422


class StaffLinkForm(forms.Form):
    """A name, unless the link is for somebody who has one, and a password typed twice."""

    username = forms.SlugField(
        label=gettext_lazy("Your name for logging in"),
        min_length=2,
        max_length=40,
        help_text=gettext_lazy("Letters, digits, hyphens. The audit log shows it."),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        help_text=gettext_lazy("At least 12 characters; a few words that you can remember."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("The password again"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, link: StaffLink, **options: Any) -> None:
        super().__init__(*args, **options)
        if link.user is not None:
            self.fields["username"].disabled = True
            self.initial["username"] = link.user.get_username()

    def clean(self) -> dict[str, Any]:
        """Hold the password against the rules and against its repetition."""
        typed = super().clean() or {}
        if typed.get("password") != typed.get("again"):
            self.add_error("again", _("The two passwords are not the same."))
        elif "password" in typed:
            try:
                validate_password(typed["password"], User(username=typed.get("username", "")))
            except forms.ValidationError as weak:
                self.add_error("password", weak)
        return typed


@never_cache
@sensitive_post_parameters("password", "again")
def staff_link(request: HttpRequest, token: str) -> HttpResponse:
    """Choose a name and a password by a link that works once, then go on to the second factor."""
    now = clock.now()
    link = queries.staff_link(token, now)
    if link is None:
        return render(request, "backoffice/link_gone.html", status=GONE)
    form = StaffLinkForm(request.POST or None, link=link)
    status = 200
    if request.method == "POST":
        status = UNPROCESSABLE
        if form.is_valid():
            try:
                user = _use(link, token, form.cleaned_data, now)
                return _let_in(request, user)
            except FerriageError as refusal:
                form.add_error(None, str(refusal))
                status = status_of(refusal)
    return render(request, "backoffice/staff_link.html", {"form": form}, status=status)


@login_required
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show one's own log-in; the second factor can be replaced by a reset link, not taken off."""
    if not secondfactor.has_one(request.user):
        return redirect("mfa_activate_totp")
    return render(request, "mfa/index.html")


def _use(link: StaffLink, token: str, chosen: dict[str, Any], now: datetime) -> User:
    with writing():
        user = actions.use_staff_link(
            token=token, username=chosen["username"], password=chosen["password"], now=now
        )
        if link.purpose == StaffLink.Purpose.RESET:
            secondfactor.forget(user)
    return user


def _let_in(request: HttpRequest, user: User) -> HttpResponse:
    response: HttpResponse = perform_login(request, Login(user=user, email_verification="none"))
    if request.user.is_authenticated:
        # The password was typed a moment ago: setting up the second factor asks no second time.
        reauthenticate_by_password(request)
    return response
