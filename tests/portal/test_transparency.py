"""The public pages about lines: complete, current, and silent about customers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from ferriage.approvals import actions as approvals
from ferriage.approvals.actions import Asked, Conclusion
from ferriage.approvals.facts import Question
from ferriage.approvals.models import Approval
from ferriage.approvals.site import packs_in_force
from ferriage.fleet import actions as fleet
from tampering import tampering
from yard import ISSUED, OWNER, PAPER

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from ferriage.fleet.models import Line
    from shop import Shop

pytestmark = pytest.mark.usefixtures("shop")


def _page() -> str:
    return Client().get(reverse("transparency")).content.decode()


def _conclude(shop: Shop, line: Line) -> None:
    approvals.record_determination(
        party=shop.yard.party,
        asked=Asked(
            questions=(Question("enter", "SE"),),
            customer_class="public",
            use="resale",
            line_code=line.code,
        ),
        conclusion=Conclusion(
            words="Nothing is asked of us, as we read it.",
            source_title="Lag (2022:482)",
            source_clause="2 kap. 1 §",
            source_read_on=date(2026, 2, 27),
            author_name="Olga Andersson",
            statement=True,
        ),
        packs=packs_in_force(),
        now=shop.now,
        actor=OWNER,
    )


def test_no_month_is_listed_before_the_shop_was_there(shop: Shop) -> None:
    with time_machine.travel(shop.now + timedelta(days=40), tick=False):
        page = _page()

    assert re.findall(r"<tr><td>(\d{4}-\d\d)</td>", page) == ["2026-04", "2026-03"]


def test_transparency_is_linked_from_every_footer() -> None:
    for address in ("/", "/privacy/", reverse("log-in")):
        assert f'href="{reverse("transparency")}"' in Client().get(address).content.decode()


def test_transparency_lists_every_line_with_its_state(shop: Shop) -> None:
    yard = shop.yard
    yard.plan("Planned line")
    fleet.close_line(line=yard.open_line("Closed line"), now=shop.now, actor=OWNER)
    fleet.hold_line(line=yard.open_line("Held line"), reason="Fibre cut", now=shop.now, actor=OWNER)

    page = _page()

    found = re.findall(r"<h3>(?:<a[^>]*>)?([^<]+)(?:</a>)?</h3><span[^>]*>([^<]+)<", page)
    assert found == [
        ("XD public", "open"),
        ("Planned line", "not in service"),
        ("Closed line", "closed for good"),
        ("Held line", "held"),
    ]


def test_transparency_says_approvals_packs_and_counts(shop: Shop) -> None:
    page = _page()

    for pack in packs_in_force().by_place.values():
        assert f"{pack.version}<br>" in page
        assert pack.digest in page
    assert "number XD-2026-17, 2026-03-01 – 2027-02-28, granted" in page
    assert page.count("<tr><td>20") == 1  # since the shop's first month
    assert "<td>2026-03</td><td>&lt;10</td><td>&lt;10</td>" in page
    assert shop.yard.party.name in page


def test_line_of_a_closed_service_is_listed_without_a_page(shop: Shop) -> None:
    line = fleet.create_line(
        name="Office",
        party=shop.yard.party,
        enter_place="XD",
        exit_place="XD",
        sell_places=["XD"],
        customer_class="own_staff",
        use="internal_office",
        now=shop.now,
        actor=OWNER,
    )

    page = _page()

    assert "Office" in page
    assert reverse("line", args=[shop.line.code]) in page
    assert reverse("line", args=[line.code]) not in page


def test_transparency_asks_as_often_for_three_lines_as_for_one(
    shop: Shop, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = Client()
    with django_assert_max_num_queries(13) as one:
        client.get(reverse("transparency"))
    for name in ("second", "third"):
        _conclude(shop, shop.yard.open_line(name))

    with django_assert_max_num_queries(len(one)):
        client.get(reverse("transparency"))


def test_line_page_links_the_authority_where_it_can_be_asked(shop: Shop) -> None:
    line = fleet.create_line(
        name="Office",
        party=shop.yard.party,
        enter_place="CN",
        exit_place="JP",
        sell_places=["CN"],
        customer_class="public",
        use="resale",
        now=shop.now,
        actor=OWNER,
    )
    approval = approvals.record_approval(
        kind="CN-INTL-LINE-LEASE",
        holder=shop.yard.party,
        line_codes=[line.code],
        packs=packs_in_force(),
        now=shop.now,
        actor=OWNER,
    )
    approvals.grant(
        approval=approval,
        issued=ISSUED,
        file=PAPER,
        store_dir=shop.yard.store,
        now=shop.now,
        actor=OWNER,
    )

    page = Client().get(reverse("line", args=[line.code])).content.decode()

    assert 'href="https://www.miit.gov.cn/" rel="noreferrer">中华人民共和国工业和信息化部' in page
    assert "granted, not verified yet, so it does not count" in page


def test_line_page_says_that_nobody_else_checked_a_conclusion(shop: Shop) -> None:
    line = shop.yard.plan("Swedish", "SE")
    _conclude(shop, line)

    page = Client().get(reverse("line", args=[line.code])).content.decode()

    for said in (
        "own: no second person has checked it",
        "Nothing is asked of us, as we read it.",
        "Lag (2022:482), 2 kap. 1 §, 2026-02-27",
        "Sweden [SE], taking in traffic",
    ):
        assert said in page
    assert "overdue" not in page


def test_line_page_shows_no_conclusion_on_another_line_or_place(shop: Shop) -> None:
    line, other = shop.yard.plan("Swedish", "SE"), shop.yard.plan("another", "SE")
    _conclude(shop, other)
    _conclude(shop, shop.line)

    page = Client().get(reverse("line", args=[line.code])).content.decode()
    page += Client().get(reverse("line", args=[shop.line.code])).content.decode()

    assert "Nothing is asked of us" not in page


@pytest.mark.parametrize(
    ("days", "state"),
    [(0, "granted, verified by a second person"), (365, "lapsed, verified by a second person")],
)
def test_approval_past_its_last_day_is_not_called_granted(
    shop: Shop, days: int, state: str
) -> None:
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=days), tick=False):
        page = Client().get(reverse("line", args=[shop.line.code])).content.decode()

    assert f"<dd>{state}</dd>" in page


def test_approval_before_its_first_day_says_so(shop: Shop) -> None:
    with tampering():
        Approval.objects.update(valid_from=date(2026, 3, 2))

    page = Client().get(reverse("line", args=[shop.line.code])).content.decode()

    assert "granted, not valid yet" in page


def test_conclusion_past_its_review_says_that_it_counts_no_more(shop: Shop) -> None:
    line = shop.yard.plan("Swedish", "SE")
    _conclude(shop, line)

    with time_machine.travel(datetime(2026, 9, 2, tzinfo=UTC), tick=False):
        page = Client().get(reverse("line", args=[line.code])).content.decode()

    assert "overdue, so it counts no more" in page


def test_line_that_is_closed_for_good_keeps_its_page(shop: Shop) -> None:
    fleet.close_line(line=shop.line, now=shop.now, actor=OWNER)

    answer = Client().get(reverse("line", args=[shop.line.code]))

    assert answer.status_code == 200
    assert "closed for good" in answer.content.decode()
    assert shop.line.name not in Client().get("/").content.decode()
