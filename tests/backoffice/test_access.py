"""Every address of the back office × every role × nobody (failure F8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from django.apps import apps
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, reverse
from people import logged_in, make_staff

from ferriage.accounts.models import StaffProfile
from ferriage.web.backoffice import rawtables, urls
from ferriage.web.backoffice.roles import set_role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor

pytestmark = pytest.mark.django_db

ROLES: Final = ("owner", "partner", "support", "auditor")

# One letter a role, in the order of ROLES, for looking (GET) and for sending (POST).
# Written out by hand, apart from the program's own table, so that a change there is seen here.
EXPECTED: Final = {
    "staff-start": ("opsa", ""),
    "staff-plans": ("opa", ""),
    "staff-service-new": ("o", "o"),
    "staff-plan-new": ("o", "o"),
    "staff-plan": ("opa", ""),
    "staff-plan-routes": ("o", "o"),
    "staff-plan-limits": ("o", "o"),
    "staff-price-set": ("o", "o"),
    "staff-price-end": ("", "o"),
    "staff-addon-price-set": ("o", "o"),
    "staff-addon-price-end": ("", "o"),
    "staff-plan-rename": ("o", "o"),
    "staff-service": ("o", "o"),
    "staff-offer-add": ("o", "o"),
    "staff-offer-withdraw": ("", "o"),
    "staff-plan-withdraw": ("", "o"),
    "staff-vouchers": ("oa", ""),
    "staff-voucher-new": ("o", "o"),
    "staff-coupons": ("oa", ""),
    "staff-coupon-new": ("o", "o"),
    "staff-coupon-end": ("", "o"),
    "staff-batch": ("oa", ""),
    "staff-batch-void": ("o", "o"),
    "staff-batch-write-off": ("o", "o"),
    "staff-resellers": ("oa", ""),
    "staff-reseller-new": ("o", "o"),
    "staff-reseller": ("oa", ""),
    "staff-reseller-terms": ("o", "o"),
    "staff-reseller-paid": ("o", "o"),
    "staff-reseller-apply": ("o", "o"),
    "staff-reseller-link": ("", "o"),
    "staff-reseller-unlink": ("", "o"),
    "staff-reseller-month": ("oa", ""),
    "staff-reseller-csv": ("oa", ""),
    "staff-statements": ("osa", ""),
    "staff-bank-account-new": ("o", "o"),
    "staff-statement-upload": ("o", "o"),
    "staff-statement-file": ("oa", ""),
    "staff-statement-layout": ("o", "o"),
    "staff-statement-post": ("", "o"),
    "staff-statement-drop": ("", "o"),
    "staff-statement": ("osa", ""),
    "staff-bank-line": ("o", "o"),
    "staff-receipt-confirm": ("", "os"),
    "staff-receipt-drop": ("", "os"),
    "staff-receipt-evidence": ("osa", ""),
    "staff-bank": ("osa", ""),
    "staff-bank-book": ("os", "os"),
    "staff-refund-paid": ("os", "os"),
    "staff-unallocated-refund": ("os", "os"),
    "staff-unallocated-assign": ("os", "os"),
    "staff-payments": ("osa", ""),
    "staff-provider-new": ("o", "o"),
    "staff-provider-secrets": ("o", "o"),
    "staff-provider-use": ("", "o"),
    "staff-unallocated-credit": ("os", "os"),
    "staff-difference-noted": ("", "os"),
    "staff-proposal-confirm": ("", "o"),
    "staff-proposal-drop": ("", "os"),
    "staff-recall-won": ("o", "o"),
    "staff-recall-lost": ("o", "o"),
    "staff-recall-other": ("o", "o"),
    "staff-twice-came": ("o", "o"),
    "staff-twice-given-up": ("o", "o"),
    "staff-orders": ("osa", ""),
    "staff-order": ("osa", ""),
    "staff-order-shown": ("os", "os"),
    "staff-order-opening": ("o", "o"),
    "staff-opening-back": ("o", "o"),
    "staff-order-pay-back": ("o", "o"),
    "staff-ledger": ("oa", ""),
    "staff-ledger-account": ("oa", ""),
    "staff-ledger-source": ("oa", ""),
    "staff-ledger-reverse": ("o", "o"),
    "staff-ledger-export": ("oa", ""),
    "staff-income": ("oa", ""),
    "staff-income-entries": ("oa", ""),
    "staff-months": ("oa", ""),
    "staff-month-close": ("o", "o"),
    "staff-partners": ("opa", ""),
    "staff-partner-new": ("o", "o"),
    "staff-partner-login": ("o", "o"),
    "staff-agreement-new": ("o", "o"),
    "staff-partner": ("opa", ""),
    "staff-partner-csv": ("opa", ""),
    "staff-payout-new": ("o", "o"),
    "staff-payout-paid": ("o", "o"),
    "staff-payout-cancel": ("", "o"),
    "staff-hosting": ("oa", ""),
    "staff-bill-new": ("o", "o"),
    "staff-bill-paid": ("o", "o"),
    "staff-bill-evidence": ("oa", ""),
    "staff-bill-end": ("", "o"),
    "staff-tax": ("oa", ""),
    "staff-tax-setup": ("o", "o"),
    "staff-tax-rates": ("o", "o"),
    "staff-tax-rate": ("o", "o"),
    "staff-tax-report": ("oa", ""),
    "staff-tax-report-csv": ("oa", ""),
    "staff-tax-remit": ("o", "o"),
    "staff-documents": ("osa", ""),
    "staff-document": ("osa", ""),
    "staff-alarms": ("osa", ""),
    "staff-alarm-acknowledge": ("", "os"),
    "staff-asides": ("osa", ""),
    "staff-aside": ("o", "o"),
    "staff-gateways": ("osa", ""),
    "staff-gateway-new": ("o", "o"),
    "staff-gateway": ("osa", ""),
    "staff-gateway-token": ("", "o"),
    "staff-gateway-assign": ("o", "o"),
    "staff-gateway-endpoint": ("o", "o"),
    "staff-gateway-close": ("o", "o"),
    "staff-gateway-drain": ("o", "o"),
    "staff-gateway-undrain": ("", "o"),
    "staff-gateway-unassign": ("o", "o"),
    "staff-gateway-removals": ("o", "o"),
    "staff-gateway-returns": ("o", "o"),
    "staff-lines": ("oa", ""),
    "staff-line-new": ("o", "o"),
    "staff-line": ("oa", ""),
    "staff-line-service": ("", "o"),
    "staff-line-hold": ("o", "o"),
    "staff-line-release": ("", "o"),
    "staff-line-close": ("o", "o"),
    "staff-line-size": ("o", "o"),
    "staff-lines-diagram": ("oa", ""),
    "staff-line-verdict": ("oa", ""),
    "staff-line-history": ("oa", ""),
    "staff-reports": ("oa", ""),
    "staff-report-register": ("oa", ""),
    "staff-report-authority": ("oa", ""),
    "staff-report-csv": ("oa", ""),
    "staff-auditor-pack": ("", "oa"),
    "staff-needs": ("oa", ""),
    "staff-wizard-start": ("o", "o"),
    "staff-wizard-line": ("o", "o"),
    "staff-wizard": ("oa", ""),
    "staff-wizard-step": ("oa", ""),
    "staff-wizard-draft": ("", "o"),
    "staff-determination-new": ("o", "o"),
    "staff-opinion-new": ("o", "o"),
    "staff-determinations": ("oa", ""),
    "staff-determination-end": ("", "o"),
    "staff-packs": ("oa", ""),
    "staff-pack": ("oa", ""),
    "staff-pack-accept": ("", "o"),
    "staff-parties": ("oa", ""),
    "staff-party-new": ("o", "o"),
    "staff-approvals": ("oa", ""),
    "staff-approval-new": ("o", "o"),
    "staff-approval": ("oa", ""),
    "staff-approval-lodge": ("o", "o"),
    "staff-approval-grant": ("o", "o"),
    "staff-approval-verify": ("", "o"),
    "staff-approval-outside": ("", "o"),
    "staff-approval-correct": ("o", "o"),
    "staff-approval-change": ("o", "o"),
    "staff-evidence": ("oa", ""),
    "staff-calendar": ("oa", ""),
    "staff-task-tick": ("", "o"),
    "staff-duty-done": ("o", "o"),
    "staff-duty-undone": ("o", "o"),
    "staff-incident-new": ("o", "o"),
    "staff-feed-new": ("", "oa"),
    "staff-feed-end": ("", "oa"),
    "staff-clock": ("oa", ""),
    "staff-clock-propose": ("o", "o"),
    "staff-clock-repair": ("oa", ""),
    "staff-clock-confirm": ("", "o"),
    "staff-clock-outside": ("", "o"),
    "staff-clock-drop": ("", "o"),
    "staff-customers": ("osa", "osa"),  # a search is posted, to keep numbers out of addresses
    "staff-subscription": ("osa", ""),
    "staff-subscription-grant": ("os", "os"),
    "staff-subscription-refund": ("os", "os"),
    "staff-subscription-opening": ("o", "o"),
    "staff-subscription-pay-back": ("o", "o"),
    "staff-subscription-end": ("os", "os"),
    "staff-device-remove": ("os", "os"),
    "staff-closed": ("osa", ""),
    "staff-closed-new": ("o", "o"),
    "staff-members": ("osa", ""),
    "staff-member-enter": ("os", "os"),
    "staff-members-import": ("os", "os"),
    "staff-members-export": ("oa", ""),
    "staff-member-invite": ("", "os"),
    "staff-member-rename": ("os", "os"),
    "staff-member-leave": ("os", "os"),
    "staff-audit": ("oa", ""),
    "staff-people": ("oa", ""),
    "staff-invite": ("o", "o"),
    "staff-reset": ("o", "o"),
    "staff-role": ("o", "o"),
}
OPEN: Final = {"account_login", "account_logout", "account_inactive", "staff-link", "staff-feed"}
"""Pages before log-in. A log-out of nobody does nothing; link and feed ask for their token."""
OWN: Final = {
    "account_reauthenticate",
    "account_change_password",
    "mfa_index",
    "mfa_authenticate",
    "mfa_reauthenticate",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
}
"""Pages about one's own log-in, for everybody who has one."""
ARGUMENTS: Final = {
    "year": 2026,
    "number": 3,
    "code": "none",
    "pool": "none",
    "line": "none",
    "pk": 0,
    "lead": 30,
    "slug": "law",
    "name": "lines",
    "token": "none",
    "verb": "suspend",
    "place": "XX",
    "digest": "none",
    "form": "csv",
    "month": "2999-01",
    "quarter": "2026-Q1",
    "url": "core/auditentry/",
    "content_type_id": 1,
    "object_id": "1",
    "app_label": "core",
}


def _walk(
    patterns: Sequence[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            space = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from _walk(pattern.url_patterns, prefix + space)
        else:
            yield prefix + (pattern.name or ""), pattern


def _address(name: str, pattern: URLPattern) -> str:
    wanted = pattern.pattern.regex.groupindex
    return reverse(name, kwargs={key: ARGUMENTS[key] for key in wanted})


PAGES: Final = {
    name: _address(name, pattern)
    for name, pattern in _walk(urls.urlpatterns)
    if not name.startswith("rawtables:")
}
TABLES: Final = [
    _address(name, pattern)
    for name, pattern in _walk(urls.urlpatterns)
    if name.startswith("rawtables:") and name != "rawtables:"
]


def _let_in(client: Client, address: str, method: str) -> bool:
    """Tell whether the guard let a request through to the page, whatever the page then said."""
    response = client.generic(method, address)
    if response.streaming:  # to its end, which closes its file
        b"".join(response.streaming_content)  # type: ignore[attr-defined]
    return response.status_code != 403 and not response.headers.get("Location", "").startswith(
        reverse("account_login")
    )


def test_every_address_is_in_the_table() -> None:
    assert set(PAGES) == set(EXPECTED) | OPEN | OWN


@pytest.mark.parametrize("role", ROLES)
def test_role_reaches_what_the_table_says_and_nothing_else(role: str) -> None:
    client = logged_in(make_staff("somebody", role))
    letter = role[0]

    found = {
        name: tuple(letter if _let_in(client, PAGES[name], how) else "" for how in ("GET", "POST"))
        for name in EXPECTED
    }

    assert found == {
        name: tuple(letter if letter in allowed else "" for allowed in expected)
        for name, expected in EXPECTED.items()
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_nobody_reaches_anything_before_log_in(method: str) -> None:
    reached = [name for name in (*EXPECTED, *OWN) if _let_in(Client(), PAGES[name], method)]

    assert reached == []


def test_refusal_is_a_line_in_the_log_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    client = logged_in(make_staff("pia", "partner"))

    client.get(reverse("staff-audit"))

    assert [(one.getMessage(), one.exc_info) for one in caplog.records] == [
        ("Forbidden (Permission denied): /staff/audit/", None)
    ]


def test_user_without_a_role_reaches_nothing() -> None:
    user = make_staff("nobody", "owner")
    StaffProfile.objects.all().delete()
    client = logged_in(user)

    assert [name for name in EXPECTED if _let_in(client, PAGES[name], "GET")] == []


@pytest.mark.parametrize("role", ROLES)
def test_no_page_is_reached_without_second_factor(role: str) -> None:
    client = logged_in(make_staff("fresh", role, factor=False))

    answers = {name: client.get(PAGES[name]).headers.get("Location") for name in EXPECTED}

    assert answers == dict.fromkeys(EXPECTED, reverse("mfa_activate_totp"))


@pytest.mark.parametrize(
    ("role", "may"), [("owner", 1), ("partner", 0), ("support", 0), ("auditor", 1)]
)
def test_raw_tables_are_for_owner_and_auditor(role: str, may: int) -> None:
    client = logged_in(make_staff("somebody", role))

    index = client.get(reverse("rawtables:index"))
    table = client.get(reverse("rawtables:core_auditentry_changelist"))

    assert (index.status_code, table.status_code) == ((200, 200) if may else (403, 403))


@pytest.mark.parametrize("role", [None, "partner", "support"])
def test_no_address_of_the_raw_tables_is_open_to_others(role: str | None) -> None:
    client = logged_in(make_staff("somebody", role)) if role else Client()
    # Its log-in, log-out and password pages only lead to those of the back office.
    doors = {reverse(f"rawtables:{name}") for name in ("login", "logout", "password_change")}

    reached = [
        address
        for address in TABLES
        for method in ("GET", "POST")
        if address not in doors and _let_in(client, address, method)
    ]

    assert len(TABLES) > 100
    assert reached == []


def test_raw_tables_cannot_be_changed_even_by_the_owner() -> None:
    user = make_staff("olga", "owner")
    client = logged_in(user)
    profile = StaffProfile.objects.get(user=user)
    row = reverse("rawtables:accounts_staffprofile_change", args=[profile.pk])
    add = reverse("rawtables:accounts_staffprofile_add")
    delete = reverse("rawtables:accounts_staffprofile_delete", args=[profile.pk])

    refused = [
        client.post(address, {"role": "auditor"}).status_code for address in (row, add, delete)
    ]

    assert refused == [403, 403, 403]
    assert client.get(row).status_code == 200
    assert StaffProfile.objects.get().role == "owner"


def test_role_taken_away_is_gone_at_the_next_click(now: datetime, owner: Actor) -> None:
    make_staff("olga", "owner")
    user = make_staff("sam", "owner")
    client = logged_in(user)
    before = client.get(PAGES["staff-lines"]).status_code

    set_role(user=user, role="support", now=now, actor=owner)
    demoted = client.get(PAGES["staff-lines"]).status_code
    set_role(user=user, role="", now=now, actor=owner)
    closed = client.get(PAGES["staff-start"]).headers["Location"]

    assert (before, demoted) == (200, 403)
    assert closed.startswith(reverse("account_login"))


def test_last_owner_stays() -> None:
    user = make_staff("olga", "owner")
    client = logged_in(user)

    answer = client.post(reverse("staff-role", args=[user.pk]), {"role": "auditor"})

    assert answer.status_code == 409
    assert "the only owner" in answer.content.decode()
    assert StaffProfile.objects.get().role == "owner"


@pytest.mark.parametrize(
    "selection",
    [
        "accounts/stafflink/?token_hash__startswith=a",
        "accounts/account/?number_hash=a",
        "accounts/staffprofile/?user__password__startswith=md5",
        "payments/refund/?claim_url__startswith=https",
        "payments/payment/?pay_url__startswith=https",
    ],
)
def test_raw_tables_answer_no_question_about_a_secret(selection: str) -> None:
    auditor = logged_in(make_staff("audrey", "auditor"))

    assert auditor.get(f"/staff/tables/{selection}").status_code == 400


@pytest.mark.parametrize(("table", "column"), [("refund", "claim_url"), ("payment", "pay_url")])
def test_raw_tables_show_no_link_that_pays_whoever_opens_it(table: str, column: str) -> None:
    model = apps.get_model("payments", table)

    fields = rawtables.RawTable(model, rawtables.site).get_fields(RequestFactory().get("/"))

    every = [field.name for field in model._meta.concrete_fields]
    assert sorted({*every} - {*fields}) == [column]


@pytest.mark.parametrize(
    ("name", "many"),
    [
        ("party", "parties"),
        ("audit entry", "audit entries"),
        ("usage day", "usage days"),
        ("series", "series"),
        ("place evidence", "place evidence"),
        ("refused callbacks", "refused callbacks"),
        ("voucher batch", "voucher batches"),
        ("order", "orders"),
    ],
)
def test_raw_table_is_named_in_the_plural(name: str, many: str) -> None:
    assert rawtables.plural(name) == many


@pytest.mark.django_db
def test_raw_tables_are_listed_by_their_plurals() -> None:
    index = logged_in(make_staff("olga", "owner")).get(reverse("rawtables:index"))

    page = index.content.decode()
    assert [name in page for name in ("Parties", "Partys", "Audit entries")] == [True, False, True]
