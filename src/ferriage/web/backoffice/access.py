"""Who may see and do what in the back office: one table, asked at every request.

A URL without a row here cannot be made (`route` looks it up when the process starts), and
rights are read from the database each time, so a role taken away is gone at the next click.

Source: docs/how-to/staff.md
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.cache import add_never_cache_headers

from ferriage.accounts import queries as accounts
from ferriage.accounts.models import StaffProfile
from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.errors import FerriageError
from ferriage.web.backoffice import secondfactor
from ferriage.web.shared.refusals import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from django.contrib.auth.models import User
    from django.http.response import HttpResponseBase
    from django.urls import URLPattern

Role = StaffProfile.Role
OWNER, PARTNER, SUPPORT, AUDITOR = Role.OWNER, Role.PARTNER, Role.SUPPORT, Role.AUDITOR

NOBODY: Final[frozenset[str]] = frozenset()
READING: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Access:
    """Roles that may look at a page, and roles that may send its form."""

    read: frozenset[str]
    write: frozenset[str] = NOBODY

    def allows(self, role: str, method: str) -> bool:
        """Tell whether a role may use the page with an HTTP method."""
        return role in (self.read if method in READING else self.write)


def _read(*roles: str) -> Access:
    return Access(read=frozenset(roles))


def _form(*roles: str) -> Access:
    return Access(read=frozenset(roles), write=frozenset(roles))


def _button(*roles: str) -> Access:
    return Access(read=NOBODY, write=frozenset(roles))


EVERYBODY: Final = _read(OWNER, PARTNER, SUPPORT, AUDITOR)
PRICES: Final = _read(OWNER, PARTNER, AUDITOR)
SHARES: Final = _read(OWNER, PARTNER, AUDITOR)
"""To a partner, the own ones: views ask who it is."""
MACHINES: Final = _read(OWNER, SUPPORT, AUDITOR)
RECORDS: Final = _read(OWNER, AUDITOR)

ACCESS: Final[Mapping[str, Access]] = {
    "staff-start": EVERYBODY,
    # plans and prices
    "staff-plans": PRICES,
    "staff-service-new": _form(OWNER),
    "staff-plan-new": _form(OWNER),
    "staff-plan": PRICES,
    "staff-plan-routes": _form(OWNER),
    "staff-plan-limits": _form(OWNER),
    "staff-price-set": _form(OWNER),
    "staff-price-end": _button(OWNER),
    "staff-addon-price-set": _form(OWNER),
    "staff-addon-price-end": _button(OWNER),
    "staff-plan-rename": _form(OWNER),
    "staff-service": _form(OWNER),
    "staff-offer-add": _form(OWNER),
    "staff-offer-withdraw": _button(OWNER),
    "staff-plan-withdraw": _button(OWNER),
    # money in and back
    "staff-vouchers": RECORDS,
    "staff-voucher-new": _form(OWNER),
    "staff-coupons": RECORDS,
    "staff-coupon-new": _form(OWNER),
    "staff-coupon-end": _button(OWNER),
    "staff-batch": RECORDS,
    "staff-batch-void": _form(OWNER),
    "staff-batch-write-off": _form(OWNER),
    "staff-resellers": RECORDS,
    "staff-reseller-new": _form(OWNER),
    "staff-reseller": RECORDS,
    "staff-reseller-terms": _form(OWNER),
    "staff-reseller-paid": _form(OWNER),
    "staff-reseller-apply": _form(OWNER),
    "staff-reseller-link": _button(OWNER),
    "staff-reseller-unlink": _button(OWNER),
    "staff-reseller-month": RECORDS,
    "staff-reseller-csv": RECORDS,
    "staff-statements": MACHINES,
    "staff-bank-account-new": _form(OWNER),
    "staff-statement-upload": _form(OWNER),
    "staff-statement-file": RECORDS,
    "staff-statement-layout": _form(OWNER),
    "staff-statement-post": _button(OWNER),
    "staff-statement-drop": _button(OWNER),
    "staff-statement": MACHINES,
    "staff-bank-line": _form(OWNER),
    "staff-receipt-confirm": _button(OWNER, SUPPORT),
    "staff-receipt-drop": _button(OWNER, SUPPORT),
    "staff-receipt-evidence": MACHINES,
    "staff-bank": MACHINES,
    "staff-bank-book": _form(OWNER, SUPPORT),
    "staff-refund-paid": _form(OWNER, SUPPORT),
    "staff-unallocated-refund": _form(OWNER, SUPPORT),
    "staff-unallocated-assign": _form(OWNER, SUPPORT),
    "staff-payments": MACHINES,
    "staff-provider-new": _form(OWNER),
    "staff-provider-secrets": _form(OWNER),
    "staff-provider-use": _button(OWNER),
    "staff-unallocated-credit": _form(OWNER, SUPPORT),
    "staff-difference-noted": _button(OWNER, SUPPORT),
    "staff-proposal-confirm": _button(OWNER),
    "staff-proposal-drop": _button(OWNER, SUPPORT),
    "staff-recall-won": _form(OWNER),
    "staff-recall-lost": _form(OWNER),
    "staff-recall-other": _form(OWNER),
    "staff-twice-came": _form(OWNER),
    "staff-twice-given-up": _form(OWNER),
    "staff-orders": MACHINES,
    "staff-order": MACHINES,
    "staff-order-shown": _form(OWNER, SUPPORT),
    "staff-order-opening": _form(OWNER),
    "staff-opening-back": _form(OWNER),
    "staff-order-pay-back": _form(OWNER),
    "staff-ledger": RECORDS,
    "staff-ledger-account": RECORDS,
    "staff-ledger-source": RECORDS,
    "staff-ledger-reverse": _form(OWNER),
    "staff-ledger-export": RECORDS,
    "staff-income": RECORDS,
    "staff-income-entries": RECORDS,
    "staff-months": RECORDS,
    "staff-month-close": _form(OWNER),
    "staff-partners": SHARES,
    "staff-partner-new": _form(OWNER),
    "staff-partner-login": _form(OWNER),
    "staff-agreement-new": _form(OWNER),
    "staff-partner": SHARES,
    "staff-partner-csv": SHARES,
    "staff-payout-new": _form(OWNER),
    "staff-payout-paid": _form(OWNER),
    "staff-payout-cancel": _button(OWNER),
    "staff-hosting": RECORDS,
    "staff-bill-new": _form(OWNER),
    "staff-bill-paid": _form(OWNER),
    "staff-bill-evidence": RECORDS,
    "staff-bill-end": _button(OWNER),
    "staff-tax": RECORDS,
    "staff-tax-setup": _form(OWNER),
    "staff-tax-rates": _form(OWNER),
    "staff-tax-rate": _form(OWNER),
    "staff-tax-report": RECORDS,
    "staff-tax-report-csv": RECORDS,
    "staff-tax-remit": _form(OWNER),
    "staff-documents": MACHINES,
    "staff-document": MACHINES,
    # machines
    "staff-alarms": MACHINES,
    "staff-alarm-acknowledge": _button(OWNER, SUPPORT),
    "staff-asides": MACHINES,
    "staff-aside": _form(OWNER),
    "staff-gateways": MACHINES,
    "staff-gateway-new": _form(OWNER),
    "staff-gateway": MACHINES,
    "staff-gateway-token": _button(OWNER),
    "staff-gateway-assign": _form(OWNER),
    "staff-gateway-endpoint": _form(OWNER),
    "staff-gateway-close": _form(OWNER),
    "staff-gateway-drain": _form(OWNER),
    "staff-gateway-removals": _form(OWNER),
    "staff-gateway-returns": _form(OWNER),
    "staff-gateway-undrain": _button(OWNER),
    "staff-gateway-unassign": _form(OWNER),
    # lines and the register
    "staff-lines": RECORDS,
    "staff-line-new": _form(OWNER),
    "staff-line": RECORDS,
    "staff-line-service": _button(OWNER),
    "staff-line-hold": _form(OWNER),
    "staff-line-release": _button(OWNER),
    "staff-line-close": _form(OWNER),
    "staff-line-size": _form(OWNER),
    "staff-lines-diagram": RECORDS,
    "staff-line-verdict": RECORDS,
    "staff-line-history": RECORDS,
    "staff-reports": RECORDS,
    "staff-report-register": RECORDS,
    "staff-report-authority": RECORDS,
    "staff-report-csv": RECORDS,
    "staff-auditor-pack": _button(OWNER, AUDITOR),
    "staff-needs": RECORDS,
    "staff-wizard-start": _form(OWNER),
    "staff-wizard-line": _form(OWNER),
    "staff-wizard": RECORDS,
    "staff-wizard-step": RECORDS,
    "staff-wizard-draft": _button(OWNER),
    "staff-determination-new": _form(OWNER),
    "staff-opinion-new": _form(OWNER),
    "staff-determinations": RECORDS,
    "staff-determination-end": _button(OWNER),
    "staff-packs": RECORDS,
    "staff-pack": RECORDS,
    "staff-pack-accept": _button(OWNER),
    "staff-parties": RECORDS,
    "staff-party-new": _form(OWNER),
    "staff-approvals": RECORDS,
    "staff-approval-new": _form(OWNER),
    "staff-approval": RECORDS,
    "staff-approval-lodge": _form(OWNER),
    "staff-approval-grant": _form(OWNER),
    "staff-approval-verify": _button(OWNER),
    "staff-approval-outside": _button(OWNER),
    "staff-approval-correct": _form(OWNER),
    "staff-approval-change": _form(OWNER),
    "staff-evidence": RECORDS,
    "staff-calendar": RECORDS,
    "staff-task-tick": _button(OWNER),
    "staff-duty-done": _form(OWNER),
    "staff-duty-undone": _form(OWNER),
    "staff-incident-new": _form(OWNER),
    "staff-feed-new": _button(OWNER, AUDITOR),
    "staff-feed-end": _button(OWNER, AUDITOR),
    "staff-clock": RECORDS,
    "staff-clock-propose": _form(OWNER),
    "staff-clock-repair": RECORDS,
    "staff-clock-confirm": _button(OWNER),
    "staff-clock-outside": _button(OWNER),
    "staff-clock-drop": _button(OWNER),
    # customers
    "staff-customers": Access(read=MACHINES.read, write=MACHINES.read),
    "staff-subscription": MACHINES,
    "staff-subscription-grant": _form(OWNER, SUPPORT),
    "staff-subscription-end": _form(OWNER, SUPPORT),
    "staff-subscription-refund": _form(OWNER, SUPPORT),
    "staff-subscription-opening": _form(OWNER),
    "staff-subscription-pay-back": _form(OWNER),
    "staff-device-remove": _form(OWNER, SUPPORT),
    # named people of closed services
    "staff-closed": MACHINES,
    "staff-closed-new": _form(OWNER),
    "staff-members": MACHINES,
    "staff-member-enter": _form(OWNER, SUPPORT),
    "staff-members-import": _form(OWNER, SUPPORT),
    "staff-members-export": RECORDS,
    "staff-member-invite": _button(OWNER, SUPPORT),
    "staff-member-rename": _form(OWNER, SUPPORT),
    "staff-member-leave": _form(OWNER, SUPPORT),
    # the house itself
    "staff-audit": RECORDS,
    "staff-people": RECORDS,
    "staff-invite": _form(OWNER),
    "staff-reset": _form(OWNER),
    "staff-role": _form(OWNER),
}


@dataclass(frozen=True, slots=True)
class Staff:
    """Who was let in, with the role read at this request."""

    user: User
    role: str

    @property
    def actor(self) -> Actor:
        """The name under which actions are recorded."""
        return Actor("staff", self.user.get_username())

    @property
    def role_name(self) -> str:
        """The role in the reader's language."""
        return str(StaffProfile.Role(self.role).label)

    def may(self, url_name: str) -> bool:
        """Tell whether a page or button is for them; templates show only such."""
        access = ACCESS[url_name]
        return self.role in access.read | access.write


class StaffRequest(HttpRequest):
    """A request that `guarded` let through. Views read the clock from it and nowhere else."""

    staff: Staff
    now: datetime


if TYPE_CHECKING:
    type View = Callable[..., HttpResponseBase]


def route(pattern: str, view: View, name: str) -> URLPattern:
    """Return a URL whose access is decided by its name in the table."""
    return path(pattern, guarded(view, ACCESS[name]), name=name)


def guarded(view: View, access: Access) -> View:
    """Let a view be reached only by staff with a second factor, in a role that may.

    Nobody logged in: to the log-in page. No second factor yet: to its set-up. Another role: 403.
    """

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        staff = Staff(request.user, accounts.role_of(request.user))
        if not staff.role:
            raise PermissionDenied
        if not secondfactor.has_one(staff.user):
            return redirect("mfa_activate_totp")
        if not access.allows(staff.role, request.method or "GET"):
            raise PermissionDenied
        let_in = cast("StaffRequest", request)
        let_in.staff, let_in.now = staff, clock.now()
        response = _answer(view, let_in, args, kwargs)
        add_never_cache_headers(response)
        return response

    return inner


def _answer(
    view: View, request: StaffRequest, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HttpResponseBase:
    """Call the view; a refusal by the house becomes a page that says what happened."""
    try:
        return view(request, *args, **kwargs)
    except FerriageError as refusal:
        context = {"refusal": refusal}
        return render(request, "backoffice/refused.html", context, status=status_of(refusal))
