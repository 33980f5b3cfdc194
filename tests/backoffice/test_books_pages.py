"""Income, months, partners and hosting in the back office."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.core.actors import Actor
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.ledger import actions, income, partners, queries
from ferriage.ledger.actions import TransferLine, post
from ferriage.ledger.actions.closing import close
from ferriage.ledger.models import Agreement, Closing, HostingBill, Partner, Payout, Transfer

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from shop import Shop

pytestmark = pytest.mark.django_db

OLGA = Actor("staff", "olga")
JANUARY = date(2026, 1, 1)
AT = datetime(2026, 1, 10, tzinfo=UTC)


def _post(source: str, kind: str, debit: str, credit: str, minor: int, *, days: int = 0) -> None:
    post(
        source_code=source,
        kind=kind,
        transfers=[TransferLine(debit, credit, Money(minor, "CNY"))],
        description="",
        now=AT + timedelta(days=days),
    )


def _sell(number: int, *, days: int = 0) -> None:
    """Book a sale of 100.00 of which 30.00 are earned and 20.00 go back."""
    code = f"ord_{number}"
    _post(code, "receipt", "assets:bank", "liabilities:unallocated", 10_000, days=days)
    _post(code, "sale", "liabilities:unallocated", "liabilities:unearned", 10_000, days=days)
    _post(code, "earned", "liabilities:unearned", "income:ferry", 3_000, days=days)
    _post(code, "ended", "liabilities:unearned", "liabilities:refunds", 2_000, days=days)
    _post(code, "refund", "liabilities:refunds", "assets:bank", 2_000, days=days)


def _settled() -> None:
    """Sell in January, with anna and bo as partners, and close the month."""
    for name in ("anna", "bo"):
        actions.add_partner(name=name, login=name, now=AT, actor=OLGA)
    actions.agree(
        service="ferry",
        shares={"": 5000, "anna": 3000, "bo": 2000},
        valid_from=JANUARY,
        now=AT,
        actor=OLGA,
    )
    _sell(1)
    close(month=JANUARY, check=queries.check, now=datetime(2026, 2, 1, tzinfo=UTC), actor=OLGA)


def _page(client: Client, address: str, *arguments: object, **asked: str) -> str:
    return unescape(client.get(reverse(address, args=arguments), asked).content.decode())


# --- income -----------------------------------------------------------------------------------


def test_income_shows_what_moved_and_what_is_left(olga: Client) -> None:
    _settled()
    _sell(2, days=35)

    shown = [row.figures for row in income.months("CNY")]
    page = _page(olga, "staff-income")

    assert [
        {name: row.get(name, 0) for name in ("received", "earned", "unearned", "refunded")}
        for row in shown
    ] == [
        {"received": 10_000, "earned": 3000, "unearned": 5000, "refunded": 2000},
        {"received": 10_000, "earned": 3000, "unearned": 10_000, "refunded": 2000},
    ]
    assert (shown[0]["partner:anna"], shown[0]["share:ferry"]) == (900, 1500)
    assert page.count('<rect class="money-received"') == 3  # two months, and the legend
    assert '<td class="num">45.00</td>' in page  # 60.00 earned less shares of 15.00


def test_every_figure_is_the_sum_of_the_entries_behind_its_link(olga: Client) -> None:
    _settled()
    for number in range(2, 5):
        _sell(number, days=32)
    actions.record_bill(
        gateway="gw_1", what="Host", money=Money(500, "CNY"), now=AT + timedelta(40), actor=OLGA
    )
    page = _page(olga, "staff-income")
    links = set(
        re.findall(r'href="\S+entries/\?figure=([\w:%]+)&month=([\d-]+)&currency=CNY"', page)
    )
    before = dict.fromkeys(income.LEFT, 0)
    figures: dict[tuple[str, str], int] = {}
    for row in income.months("CNY"):
        for name, minor in row.figures.items():
            figures[name, f"{row.month:%Y-%m}"] = minor - before.get(name, 0)
        before = {name: row.figures[name] for name in income.LEFT}

    for figure, month in ((name.replace("%3A", ":"), month) for name, month in links):
        found = income.entries(figure, month=date.fromisoformat(f"{month}-01"), currency="CNY")
        total = sum(
            row.amount_minor * income.sign(figure, row.debit.name, row.credit.name)
            for row in found.rows
        )
        assert total == figures.get((figure, month), 0), (figure, month)
    assert len(links) == 2 * (8 + 1 + 2 + 1)


def test_every_sum_of_a_year_leads_to_the_entries_it_was_made_of(olga: Client) -> None:
    _settled()
    for number in range(2, 5):
        _sell(number, days=32)
    _sell(5, days=365)
    page = _page(olga, "staff-income", year="2026")
    cells = re.findall(
        r'<a href="\S+entries/\?figure=([\w:%]+)&year=2026&currency=CNY">([\d.−]+)</a>', page
    )

    sums = {}
    for figure in {name.replace("%3A", ":") for name, _shown in cells}:
        rows = income.entries(figure, month=JANUARY, whole_year=True, currency="CNY").rows
        assert {row.transaction.posted_at.year for row in rows} <= {2026}
        sums[figure] = sum(
            row.amount_minor * income.sign(figure, row.debit.name, row.credit.name) for row in rows
        )

    assert {(name.replace("%3A", ":"), shown) for name, shown in cells} == {
        (name, f"{minor / 100:.2f}".replace("-", "−")) for name, minor in sums.items()
    }
    # The four sums of the shop, and what its service earned and its two partners have of it.
    assert set(sums) == {
        *("received", "earned", "refunded", "other", "service:ferry", "share:ferry"),
        *("partner:anna", "partner:bo"),
    }


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_entries_of_a_year_come_in_their_order_and_none_twice(limit: int) -> None:
    for number in range(8):
        _sell(number, days=number * 50)
    found: list[int] = []
    before = None
    while before or not found:
        page = income.entries(
            "received", month=JANUARY, whole_year=True, currency="CNY", before=before, limit=limit
        )
        found += [row.pk for row in page.rows]
        before = page.before

    of_year = Transfer.objects.filter(
        debit__name="assets:bank", transaction__posted_at__year=2026
    ).order_by("-pk")
    assert found == list(of_year.values_list("pk", flat=True))
    assert len(found) == 8


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_entries_of_a_month_are_found_between_those_of_others(limit: int) -> None:
    for number in range(12):
        _sell(number, days=0 if number % 4 == 1 else 40)
    found: list[int] = []
    before = None
    while before or not found:
        page = income.entries("received", month=JANUARY, currency="CNY", before=before, limit=limit)
        found += [row.pk for row in page.rows]
        before = page.before

    received = Transfer.objects.filter(debit__name="assets:bank").order_by("-pk")
    january = received.filter(transaction__posted_at__month=1)
    assert found == list(january.values_list("pk", flat=True))
    assert (len(found), len(received)) == (3, 12)


def test_what_was_received_is_explained_by_the_other_figures(olga: Client) -> None:
    _sell(1)
    _post("ord_2", "receipt", "assets:bank", "liabilities:unallocated", 700)
    _post("vch_1", "paid", "assets:bank", "liabilities:vouchers", 500)
    _post("acc_1", "topped-up", "assets:bank", "liabilities:credits", 300)
    _post("ord_1", "sorry", "liabilities:unearned", "liabilities:refunds", 400, days=32)
    _post("ord_1", "tax", "liabilities:unearned", "liabilities:tax:SE", 90, days=32)

    shown = [row.figures for row in income.months("CNY")]
    page = _page(olga, "staff-income")

    assert shown[0]["received"] == 11_500 == 3000 + 2000 + 5000 + 700 + 800
    assert [shown[1].get(name, 0) for name in income.WHOLE] == [0, 0, 0, 90, 4510, 700, 800, 400]
    moved = {name: sum(row.get(name, 0) for row in shown) for name in income.WHOLE}
    left = sum(shown[-1][name] for name in income.LEFT)
    assert moved["received"] == moved["earned"] + moved["refunded"] + moved["other"] + left
    assert "It adds up" in page


def test_received_is_what_others_paid_and_that_once() -> None:
    _post("sta_1", "opening", "assets:bank", "equity:opening", 60_000)
    _post("sta_2", "opening", "assets:bank", "equity:owner", 500)
    _post("ord_1", "receipt", "assets:bank", "liabilities:unallocated", 1000)
    _post("ord_1", "sale", "liabilities:unallocated", "liabilities:unearned", 1000)
    _post("bat_1", "issued", "assets:receivable:ann", "liabilities:vouchers", 700)
    _post("rsp_1", "reseller-paid", "assets:bank", "assets:receivable:ann", 400)
    # Taken back, and come again.
    _post("dsp_1", "recalled", "assets:disputed", "assets:bank", 1000)
    _post("pay_2", "receipt", "assets:bank", "liabilities:unallocated", 1000)
    _post("dsp_1", "recall-returned", "liabilities:unallocated", "assets:disputed", 1000)
    # Paid back, and come back undelivered.
    _post("ord_1", "ended", "liabilities:unearned", "liabilities:refunds", 300)
    _post("ref_1", "refund", "liabilities:refunds", "assets:bank", 300)
    _post("ref_1", "refund-returned", "assets:bank", "liabilities:refunds", 300)

    (shown,) = (row.figures for row in income.months("CNY"))

    assert {name: shown.get(name, 0) for name in income.WHOLE} == {
        "received": 1400,
        "earned": 0,
        "refunded": 0,
        "other": -300,  # what the reseller owes still
        "unearned": 700,
        "unallocated": 0,
        "held": 700,
        "queued": 300,
    }


@pytest.mark.parametrize(
    ("figure", "amounts", "sums"),
    [
        ("other", ["4.00", "5.00", "−7.00"], ["2.00 CNY"]),
        ("received", ["4.00"], ["4.00 CNY"]),
        ("held", ["−5.00", "7.00"], ["7.00", "2.00 CNY", "9.00 CNY"]),
    ],
)
def test_list_behind_a_figure_shows_signs_and_the_figure_as_its_sum(
    olga: Client, figure: str, amounts: list[str], sums: list[str]
) -> None:
    _post("bat_1", "issued", "assets:receivable:ann", "liabilities:vouchers", 700)
    _post("bat_2", "issued", "assets:receivable:ann", "liabilities:vouchers", 700, days=35)
    _post("bat_2", "void", "liabilities:vouchers", "assets:receivable:ann", 500, days=36)
    _post("rsp_1", "reseller-paid", "assets:bank", "assets:receivable:ann", 400, days=37)
    asked = {"figure": figure, "month": "2026-02", "currency": "CNY"}

    page = _page(olga, "staff-income-entries", **asked)

    body, below = page.split("<tbody>")[1].split("<tfoot>")
    assert re.findall(r'data-label="Amount">([^<]+)</td>', body) == amounts
    assert re.findall(r'<td class="num">([^<]+)</td>', below) == sums


def test_entries_behind_a_figure_come_a_page_at_a_time(olga: Client) -> None:
    for number in range(60):
        _sell(number)

    first = _page(olga, "staff-income-entries", figure="earned", month="2026-01", currency="CNY")
    before = re.search(r"before=(\d+)", first)
    assert before is not None
    second = _page(
        olga,
        "staff-income-entries",
        figure="earned",
        month="2026-01",
        currency="CNY",
        before=before[1],
    )

    codes = [set(re.findall(r"<code>(ord_\d+)</code>", page)) for page in (first, second)]
    assert [len(found) for found in codes] == [50, 10]
    assert codes[0].isdisjoint(codes[1])


@pytest.mark.parametrize(
    "when", [{"month": ""}, {"month": "2026-13"}, {"month": "x"}, {"year": "x"}]
)
def test_entries_of_no_month_are_not_found(olga: Client, when: dict[str, str]) -> None:
    address = reverse("staff-income-entries")

    assert olga.get(address, {"figure": "earned", **when}).status_code == 404


@pytest.mark.parametrize(
    "name", ["staff-income", "staff-ledger", "staff-partners", "staff-hosting"]
)
def test_page_asks_as_much_however_much_is_posted(olga: Client, name: str) -> None:
    _settled()
    counts = []
    for numbers in (range(2, 3), range(3, 9)):
        for number in numbers:
            _sell(number, days=40 * number)
        with CaptureQueriesContext(connection) as asked:
            olga.get(reverse(name))
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_account_is_listed_from_both_sides_without_a_gap(olga: Client) -> None:
    for number in range(30):
        _sell(number)
    asked = {"name": "liabilities:refunds", "currency": "CNY"}

    first = _page(olga, "staff-ledger-account", **asked)
    before = re.search(r"before=(\d+)", first)
    assert before is not None
    second = _page(olga, "staff-ledger-account", **asked, before=before[1])

    assert [page.count('<td class="num">20.00 CNY') for page in (first, second)] == [50, 10]


# --- months -----------------------------------------------------------------------------------


def test_month_is_closed_in_two_steps(olga: Client) -> None:
    _post("own", "brought", "assets:bank", "equity:own", 5)
    before = _page(olga, "staff-months")
    address = reverse("staff-month-close", args=["2026-01"])

    asked = _page(olga, "staff-month-close", "2026-01")

    assert f'href="{address}"' in before
    assert f'action="{address}"' not in before
    assert "cannot be opened again" in asked
    assert not Closing.objects.exists()

    answer = olga.post(reverse("staff-month-close", args=["2026-01"]), follow=True)

    closing = Closing.objects.get()
    assert "2026-01 is over and open" in before
    assert closing.link.hash in answer.content.decode()
    assert closing.closed_by == "staff:olga"


def test_month_that_does_not_agree_is_refused_on_a_page(olga: Client) -> None:
    # Money that no payment knows of.
    _post("x", "x", "assets:bank", "liabilities:unearned", 5)

    answer = olga.post(reverse("staff-month-close", args=["2026-01"]))

    assert answer.status_code == 409
    assert "The books are not right" in unescape(answer.content.decode())
    assert not Closing.objects.exists()


# --- partners ---------------------------------------------------------------------------------


def test_partner_and_agreement_are_entered_on_their_pages(olga: Client, shop: Shop) -> None:
    olga.post(reverse("staff-partner-new"), {"name": "anna", "login": ""})
    typed = {"service": shop.service.slug, "valid_from": "2026-03", "valid_to": ""}
    refused = olga.post(reverse("staff-agreement-new"), typed | {"own": "60", "shares": "anna 39"})

    olga.post(reverse("staff-agreement-new"), typed | {"own": "60.5", "shares": "anna 39,50 %\n"})

    agreement = Agreement.objects.get()
    shares = {share.partner: share.share_bps for share in partners.shares_of(agreement)}
    assert refused.status_code == 422
    assert "The shares come to 99.0 %" in unescape(refused.content.decode())
    assert shares == {None: 6050, Partner.objects.get(): 3950}
    assert "anna 39.50 %" in _page(olga, "staff-partners")


@pytest.mark.parametrize("shares", ["anna", "anna x", "anna 1\nanna 2", "anna 33.333"])
def test_shares_that_cannot_be_read_are_refused(olga: Client, shop: Shop, shares: str) -> None:
    typed = {"service": shop.service.slug, "valid_from": "2026-03", "own": "60", "shares": shares}

    assert olga.post(reverse("staff-agreement-new"), typed).status_code == 422
    assert not Agreement.objects.exists()


def test_statement_adds_up_on_the_page_and_in_the_file(olga: Client) -> None:
    _settled()

    page = _page(olga, "staff-partner", "anna")
    answer = olga.get(reverse("staff-partner-csv", args=["anna"]))
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]

    assert page.count(">9.00<") == 3  # the month, the sum, what is owed
    assert lines[1:] == ["2026-01,ferry,CNY,30.00,0.00,30.00,30.00,9.00"]


def test_partner_sees_the_own_statement_and_no_other() -> None:
    _settled()
    anna = logged_in(make_staff("anna", "partner"))

    listed = _page(anna, "staff-partners")
    answers = {
        (page, name): anna.get(reverse(page, args=[name])).status_code
        for page in ("staff-partner", "staff-partner-csv")
        for name in ("anna", "bo")
    }

    assert ("anna" in listed, reverse("staff-partner", args=["bo"]) in listed) == (True, False)
    assert "Agreements" not in listed
    assert {key: code for key, code in answers.items() if code == 200} == {
        ("staff-partner", "anna"): 200,
        ("staff-partner-csv", "anna"): 200,
    }
    assert set(answers.values()) == {200, 404}


def test_partner_reads_what_is_paid_to_whom_nowhere(olga: Client) -> None:
    _settled()
    anna = logged_in(make_staff("anna", "partner"))
    others = [
        reverse("staff-ledger"),
        f"{reverse('staff-ledger-account')}?name=liabilities:partner:bo&currency=CNY",
        reverse("staff-ledger-export", args=["csv"]),
        reverse("staff-income"),
        reverse("staff-months"),
        reverse("staff-orders"),
    ]

    start = anna.get(reverse("staff-start"))
    page = _page(anna, "staff-partner", "anna")

    assert [anna.get(address).status_code for address in others] == [403] * len(others)
    assert [olga.get(address).status_code for address in others] == [200] * len(others)
    assert start.headers["Location"] == reverse("staff-partners")
    menu = page.partition('<nav class="staff-nav"')[2].partition("</nav>")[0]
    assert re.findall(r'href="(/staff/[^"]*)"', menu) == [
        *(reverse(name) for name in ("staff-start", "staff-plans", "staff-partners")),
    ]
    assert re.findall(r">([\d.]+ %)<", page) == ["30 %", "30 %"]  # the month's, and agreed


def test_partner_gets_a_log_in_later_and_loses_it(olga: Client) -> None:
    _settled()
    for name in ("carla", "bo"):
        make_staff(name, "partner")
    make_staff("sam", "support")
    carla = logged_in(User.objects.get(username="carla"))
    form = reverse("staff-partner-login", args=["anna"])
    statement = reverse("staff-partner", args=["anna"])
    before = carla.get(statement).status_code

    choices = re.findall(r'<option value="(\w*)"', olga.get(form).content.decode())
    answers = [olga.post(form, {"login": login}).status_code for login in ("sam", "bo", "carla")]
    given = carla.get(statement).status_code
    olga.post(form, {"login": ""})

    assert choices == ["", "anna", "carla"]
    assert answers == [422, 422, 302]
    assert (before, given, carla.get(statement).status_code) == (404, 200, 404)


def test_partner_of_a_name_that_is_there_changes_nobody(olga: Client) -> None:
    _settled()

    answer = olga.post(reverse("staff-partner-new"), {"name": "anna", "login": ""})

    assert answer.status_code == 422
    assert "anna is entered already." in answer.content.decode()
    assert Partner.objects.get(name="anna").login == "anna"


def test_partner_without_a_statement_sees_none() -> None:
    _settled()
    stranger = logged_in(make_staff("per", "partner"))

    assert "None yet" in _page(stranger, "staff-partners")


def test_payout_goes_from_the_queue_to_the_books(olga: Client) -> None:
    _settled()
    too_much = olga.post(
        reverse("staff-payout-new", args=["anna"]), {"amount": "9.01", "currency": "CNY"}
    )
    olga.post(reverse("staff-payout-new", args=["anna"]), {"amount": "9", "currency": "CNY"})
    payout = Payout.objects.get()

    olga.post(reverse("staff-payout-paid", args=[payout.code]), {"reference": "OUT-1"})

    page = _page(olga, "staff-partner", "anna")
    assert too_much.status_code == 422
    assert "OUT-1" in page
    assert queries.balance("liabilities:partner:anna", "CNY") == 0


def test_payout_above_the_limit_is_noted_by_somebody_else(
    olga: Client, settings: SettingsWrapper
) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, receipt_limit=8))
    _settled()
    olga.post(reverse("staff-payout-new", args=["anna"]), {"amount": "9", "currency": "CNY"})
    payout = Payout.objects.get()

    answer = olga.post(reverse("staff-payout-paid", args=[payout.code]), {"reference": "OUT-1"})

    payout.refresh_from_db()
    assert "Let a second member of staff note it." in answer.content.decode()
    assert payout.state == Payout.State.QUEUED


def test_payout_is_cancelled_with_its_button(olga: Client) -> None:
    _settled()
    olga.post(reverse("staff-payout-new", args=["anna"]), {"amount": "9", "currency": "CNY"})

    olga.post(reverse("staff-payout-cancel", args=[Payout.objects.get().code]))

    assert Payout.objects.get().state == "cancelled"


# --- hosting ----------------------------------------------------------------------------------


def test_bill_keeps_the_file_that_it_is(olga: Client, shop: Shop) -> None:
    typed = {"gateway": shop.gateway.row.code, "what": "host", "amount": "30", "currency": "CNY"}
    paper = SimpleUploadedFile("bill.pdf", b"%PDF-1.7 thirty", content_type="application/pdf")
    program = SimpleUploadedFile("bill.exe", b"MZ", content_type="application/x-dosexec")

    refused = olga.post(reverse("staff-bill-new"), typed | {"file": program})
    olga.post(reverse("staff-bill-new"), typed | {"file": paper})
    olga.post(reverse("staff-bill-new"), typed)

    proved, bare = HostingBill.objects.order_by("pk")
    files = [olga.get(reverse("staff-bill-evidence", args=[bill.code])) for bill in (proved, bare)]
    assert (refused.status_code, files[0].status_code, files[1].status_code) == (422, 200, 404)
    assert b"".join(files[0].streaming_content) == b"%PDF-1.7 thirty"
    assert AuditEntry.objects.get(action="bill.proved").subject == proved.code
    assert _page(olga, "staff-hosting").count("Look at it") == 1
    with pytest.raises(StaleState):
        actions.prove_bill(bill=proved, sha256="0" * 64, now=shop.now, actor=OLGA)


def test_bill_is_entered_paid_and_ended_on_its_pages(olga: Client, shop: Shop) -> None:
    typed = {"gateway": shop.gateway.row.code, "what": "Host", "amount": "30", "currency": "CNY"}
    olga.post(reverse("staff-bill-new"), typed | {"monthly": "on"})
    bill = HostingBill.objects.get()

    olga.post(reverse("staff-bill-paid", args=[bill.code]), {"reference": "OUT-1"})
    olga.post(reverse("staff-bill-end", args=[bill.code]))

    bill.refresh_from_db()
    page = _page(olga, "staff-hosting")
    assert f'<td data-label="Gateway">{shop.gateway.row.name}</td>' in page
    assert bill.gateway not in page
    assert (bill.booked, bill.paid, bill.last_month) == (1, 1, date(2026, 3, 1))
    assert "each month from 2026-03 to 2026-03" in page
    assert queries.balance(f"expenses:hosting:{bill.gateway}", "CNY") == 3000
