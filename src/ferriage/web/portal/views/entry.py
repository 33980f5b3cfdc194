"""Coming in and going out: a new account, a log-in by number, a log-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language

from ferriage.accounts import actions as accounts
from ferriage.accounts import queries
from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.devices.speaking import speak
from ferriage.members.site import provider_label
from ferriage.web.portal.customer import COOKIE, for_customers, for_everybody, forget, remember
from ferriage.web.portal.views.number import number_page, own_number
from ferriage.web.portal.views.orders import purchase
from ferriage.web.shared.languages import speaks

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ferriage.accounts.models import Account
    from ferriage.web.portal.customer import CustomerRequest, VisitorRequest

UNPROCESSABLE = 422


@speaks
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("number")
@for_everybody
@sensitive_variables("opened", "number")
def open_account(request: VisitorRequest) -> HttpResponse:
    """Make an account and show its number, in this answer and never again.

    Sent again with the number, for another language, it shows the same number.
    """
    if request.method != "POST":
        return redirect("account" if request.customer else "home")
    price_code = request.POST.get("price", "")
    if request.customer is None:
        context = purchase(request, price_code)
        language = get_language() or "en"
        opened = accounts.open_account(now=request.now, actor=CUSTOMER, language=language)
        request.customer = opened.account
        response = number_page(request, opened.number, price_code, context)
        return _let_in(response, opened.account, request)
    if number := own_number(request):
        try:
            context = purchase(request, price_code)
        except FerriageError as refusal:
            return number_page(request, number, price_code, error=refusal)
        return number_page(request, number, price_code, context)
    return redirect("buy", price_code)


@speaks
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("number")
@for_customers
@sensitive_variables("number")
def replace_number(request: CustomerRequest) -> HttpResponse:
    """Ask, then give a customer another number; or show it again in another language."""
    if request.method != "POST":
        return render(request, "portal/another_number.html")
    if number := own_number(request):
        return number_page(request, number)
    number = accounts.replace_number(account=request.customer, now=request.now, actor=CUSTOMER)
    return _let_in(number_page(request, number), request.customer, request)


@require_POST
@for_everybody
def language(request: VisitorRequest) -> HttpResponse:
    """Change the language, and later with it what gateways say to a customer's devices."""
    chosen = request.POST.get("language", "")
    customer = request.customer
    if customer and chosen in dict(settings.LANGUAGES) and chosen != customer.language:
        speak(account=customer, language=chosen, now=request.now)
    return set_language(request)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("number")
@for_everybody
def log_in(request: VisitorRequest) -> HttpResponse:
    """Let in whoever has an account number, typed as people type."""
    context = {
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "provider": provider_label(),
    }
    if request.method != "POST":
        return render(request, "portal/log_in.html", context)
    account = queries.account_by_number(request.POST.get("number", ""))
    if account is None:
        context["error"] = "wrong-number"
        return render(request, "portal/log_in.html", context, status=UNPROCESSABLE)
    return _let_in(HttpResponseRedirect(_next(context["next"])), account, request)


@require_POST
@for_everybody
def log_out(request: VisitorRequest) -> HttpResponse:
    """End the session here and in the database."""
    if request.customer is not None:
        accounts.end_session(token=request.COOKIES[COOKIE])
    response = redirect("home")
    forget(response)
    return response


def _let_in(response: HttpResponse, account: Account, request: VisitorRequest) -> HttpResponse:
    remember(response, accounts.start_session(account=account, now=request.now))
    add_never_cache_headers(response)
    return response


def _next(address: str) -> str:
    """Return where to go on to: a page of ours, or the account."""
    is_ours = url_has_allowed_host_and_scheme(address, allowed_hosts=None)
    return address if address and is_ours else reverse("account")
