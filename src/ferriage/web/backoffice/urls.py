"""The addresses under /staff/. Those of log-in come from django-allauth, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from django.urls import path
from django.views.decorators.cache import never_cache

from ferriage.web.backoffice import rawtables
from ferriage.web.backoffice.access import route
from ferriage.web.backoffice.views import (
    agenda,
    approvals,
    audit,
    bank,
    clock,
    customers,
    determinations,
    diagram,
    gateways,
    history,
    ledger,
    lines,
    members,
    needs,
    orders,
    packs,
    people,
    plans,
    reports,
    start,
    userfile,
    verdict,
    versions,
    vouchers,
    welcome,
    wizard,
)

if TYPE_CHECKING:
    from django.urls import URLPattern, URLResolver

    from ferriage.web.backoffice.access import View


def _secret(pattern: str, view: View, name: str) -> URLPattern:
    """Return a URL whose answers no browser keeps: they hold codes and secrets of log-ins."""
    return path(pattern, never_cache(view), name=name)


# Names that allauth itself asks for; what is not listed does not exist here.
_log_in: list[URLPattern] = [
    _secret("login/", account.login, "account_login"),
    _secret("logout/", account.logout, "account_logout"),
    _secret("inactive/", account.account_inactive, "account_inactive"),
    _secret("reauthenticate/", account.reauthenticate, "account_reauthenticate"),
    _secret("password/", account.password_change, "account_change_password"),
    _secret("2fa/", welcome.second_factor, "mfa_index"),
    _secret("2fa/authenticate/", mfa.authenticate, "mfa_authenticate"),
    _secret("2fa/reauthenticate/", mfa.reauthenticate, "mfa_reauthenticate"),
    _secret("2fa/activate/", totp.activate_totp, "mfa_activate_totp"),
    _secret("2fa/kept/", welcome.second_factor, "mfa_deactivate_totp"),
    _secret("2fa/codes/", codes.view_recovery_codes, "mfa_view_recovery_codes"),
    _secret("2fa/codes/new/", codes.generate_recovery_codes, "mfa_generate_recovery_codes"),
    _secret("link/<str:token>/", welcome.staff_link, "staff-link"),
    _secret("calendar/<str:token>/ferriage.ics", agenda.feed, "staff-feed"),
]

_pages: list[URLPattern] = [
    route("", start.start, "staff-start"),
    route("plans/", plans.index, "staff-plans"),
    route("plans/new-service/", plans.new_service, "staff-service-new"),
    route("plans/new-plan/", plans.new_plan, "staff-plan-new"),
    route("plans/<str:code>/", plans.plan, "staff-plan"),
    route("plans/<str:code>/routes/", plans.set_routes, "staff-plan-routes"),
    route("plans/<str:code>/price/", plans.set_price, "staff-price-set"),
    route("plans/<str:code>/name/", plans.rename_plan, "staff-plan-rename"),
    route("plans/<str:code>/offer/", plans.add_offer, "staff-offer-add"),
    route("plans/<str:code>/withdraw/", plans.withdraw_plan, "staff-plan-withdraw"),
    route("services/<str:code>/", plans.describe_service, "staff-service"),
    route("prices/<str:code>/end/", plans.end_price, "staff-price-end"),
    route("offers/<int:pk>/withdraw/", plans.withdraw_offer, "staff-offer-withdraw"),
    route("vouchers/", vouchers.index, "staff-vouchers"),
    route("vouchers/new/", vouchers.new, "staff-voucher-new"),
    route("bank/", bank.worklist, "staff-bank"),
    route("bank/book/", bank.book, "staff-bank-book"),
    route("bank/refunds/<str:code>/paid/", bank.refund_paid, "staff-refund-paid"),
    route("bank/payments/<str:code>/refund/", bank.refund_unallocated, "staff-unallocated-refund"),
    route("bank/payments/<str:code>/assign/", bank.assign, "staff-unallocated-assign"),
    route("orders/", orders.index, "staff-orders"),
    route("orders/<str:code>/", orders.order, "staff-order"),
    route("orders/<str:code>/shown/", orders.note_shown, "staff-order-shown"),
    route("ledger/", ledger.trial_balance, "staff-ledger"),
    route("ledger/account/", ledger.account, "staff-ledger-account"),
    route("ledger/source/<str:code>/", ledger.source, "staff-ledger-source"),
    route("ledger/export.<str:form>", ledger.export, "staff-ledger-export"),
    route("gateways/", gateways.index, "staff-gateways"),
    route("gateways/new/", gateways.new, "staff-gateway-new"),
    route("gateways/<str:code>/", gateways.gateway, "staff-gateway"),
    route("gateways/<str:code>/token/", gateways.new_token, "staff-gateway-token"),
    route("gateways/<str:code>/assign/", gateways.assign, "staff-gateway-assign"),
    route("gateways/<str:code>/endpoint/", gateways.endpoint, "staff-gateway-endpoint"),
    route("gateways/<str:code>/close/", gateways.close, "staff-gateway-close"),
    route("gateways/<str:code>/removals/<str:pool>/", gateways.removals, "staff-gateway-removals"),
    route("lines/", lines.index, "staff-lines"),
    route("lines/new/", lines.new, "staff-line-new"),
    route("lines/diagram/", diagram.show, "staff-lines-diagram"),
    route("lines/<str:code>/", lines.line, "staff-line"),
    route("lines/<str:code>/verdict/", verdict.tree, "staff-line-verdict"),
    route("lines/<str:code>/history/", history.show, "staff-line-history"),
    route("lines/<str:code>/service/", lines.put_in_service, "staff-line-service"),
    route("lines/<str:code>/hold/", lines.hold, "staff-line-hold"),
    route("lines/<str:code>/release/", lines.release, "staff-line-release"),
    route("lines/<str:code>/close/", lines.close, "staff-line-close"),
    route("lines/<str:code>/way/", wizard.here, "staff-wizard"),
    route("lines/<str:code>/way/draft/", wizard.draft, "staff-wizard-draft"),
    route("lines/<str:code>/way/<str:slug>/", wizard.step, "staff-wizard-step"),
    route("reports/", reports.index, "staff-reports"),
    route("reports/register/", reports.register, "staff-report-register"),
    route("reports/authority/", reports.authority, "staff-report-authority"),
    route("reports/<str:name>.csv", reports.as_csv, "staff-report-csv"),
    route("reports/auditor-pack/", reports.auditor_pack, "staff-auditor-pack"),
    route("needs/", needs.ask, "staff-needs"),
    route("sell/", wizard.start, "staff-wizard-start"),
    route("sell/line/", wizard.plan, "staff-wizard-line"),
    route("lines/<str:code>/determine/", determinations.new, "staff-determination-new"),
    route("lines/<str:code>/opinion/", determinations.opinion, "staff-opinion-new"),
    route("determinations/", determinations.index, "staff-determinations"),
    route("determinations/<str:code>/end/", determinations.end, "staff-determination-end"),
    route("packs/", packs.index, "staff-packs"),
    route("packs/<str:place>/", packs.pack, "staff-pack"),
    route("packs/<str:place>/accept/<str:digest>/", packs.accept, "staff-pack-accept"),
    route("parties/", approvals.parties, "staff-parties"),
    route("parties/new/", approvals.new_party, "staff-party-new"),
    route("approvals/", approvals.index, "staff-approvals"),
    route("approvals/new/", approvals.new, "staff-approval-new"),
    route("approvals/<str:code>/", approvals.approval, "staff-approval"),
    route("approvals/<str:code>/lodge/", approvals.lodge, "staff-approval-lodge"),
    route("approvals/<str:code>/grant/", approvals.grant, "staff-approval-grant"),
    route("approvals/<str:code>/verify/", approvals.verify, "staff-approval-verify"),
    route("approvals/<str:code>/outside/", versions.invite_outside, "staff-approval-outside"),
    route("approvals/<str:code>/correct/", versions.correct, "staff-approval-correct"),
    route("approvals/<str:code>/change/<str:verb>/", approvals.change, "staff-approval-change"),
    route("clock/", clock.index, "staff-clock"),
    route("clock/propose/", clock.propose, "staff-clock-propose"),
    route("clock/<str:code>/", clock.repair, "staff-clock-repair"),
    route("clock/<str:code>/confirm/", clock.confirm, "staff-clock-confirm"),
    route("clock/<str:code>/outside/", clock.invite_outside, "staff-clock-outside"),
    route("clock/<str:code>/drop/", clock.drop, "staff-clock-drop"),
    route("evidence/<int:pk>/", approvals.evidence, "staff-evidence"),
    route("calendar/", agenda.index, "staff-calendar"),
    route("calendar/incident/", agenda.new_incident, "staff-incident-new"),
    route("calendar/feed/", agenda.make_feed, "staff-feed-new"),
    route("calendar/feed/end/", agenda.end_feed, "staff-feed-end"),
    route("calendar/<str:code>/tick/<int:lead>/", agenda.tick, "staff-task-tick"),
    route("calendar/<str:code>/done/", agenda.done, "staff-duty-done"),
    route("calendar/<str:code>/undone/", agenda.undone, "staff-duty-undone"),
    route("customers/", customers.find, "staff-customers"),
    route("customers/<str:code>/", customers.subscription, "staff-subscription"),
    route("customers/<str:code>/grant/", customers.grant, "staff-subscription-grant"),
    route("customers/<str:code>/end/", customers.end, "staff-subscription-end"),
    route("devices/<str:code>/remove/", customers.remove_device, "staff-device-remove"),
    route("closed/", members.index, "staff-closed"),
    route("closed/new/", members.close, "staff-closed-new"),
    route("closed/<str:code>/", members.people, "staff-members"),
    route("closed/<str:code>/enter/", members.enter, "staff-member-enter"),
    route("closed/<str:code>/import/", userfile.import_people, "staff-members-import"),
    route("closed/<str:code>/export.csv", members.export, "staff-members-export"),
    route("members/<str:code>/invite/", members.invite, "staff-member-invite"),
    route("members/<str:code>/rename/", members.rename, "staff-member-rename"),
    route("members/<str:code>/leave/", members.leave, "staff-member-leave"),
    route("audit/", audit.index, "staff-audit"),
    route("people/", people.index, "staff-people"),
    route("people/invite/", people.invite, "staff-invite"),
    route("people/<int:pk>/reset/", people.reset, "staff-reset"),
    route("people/<int:pk>/role/", people.change_role, "staff-role"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *_log_in,
    *_pages,
    path("tables/", rawtables.site.urls),
]
