"""How lines stand, and when what they rest on ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals import actions as approvals
from ferriage.approvals.actions import Asked, Conclusion
from ferriage.approvals.facts import Question
from ferriage.approvals.models import Approval
from ferriage.approvals.site import packs_in_force
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Line
from ferriage.reports import lines
from yard import OWNER

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from yard import Yard

pytestmark = pytest.mark.django_db


def _stand(now: datetime) -> list[lines.Standing]:
    rows = Line.objects.select_related("party").order_by("pk")
    return lines.standings(rows, now=now)


def test_states_follow_permit_line_and_clock(yard: Yard) -> None:
    yard.open_line("open")
    yard.plan("planned")
    held, closed, revoked = (yard.open_line(name) for name in ("held", "closed", "revoked"))
    fleet.hold_line(line=held, reason="Fibre cut", now=yard.now, actor=OWNER)
    fleet.close_line(line=closed, now=yard.now, actor=OWNER)
    approval = Approval.objects.get(lines__line_code=revoked.code)
    fleet.revoke_approval(approval=approval, now=yard.now, actor=OWNER)

    found = {item.line.name: (item.state, item.by_staff) for item in _stand(yard.now)}
    after = _stand(datetime(2027, 3, 1, tzinfo=UTC))[0]

    assert found == {
        "open": ("open", False),
        "planned": ("planned", False),
        "held": ("held", True),
        "closed": ("closed", False),
        "revoked": ("held", False),
    }
    assert (after.state, after.until) == ("held", None)


def test_line_is_open_until_its_permit_ends(yard: Yard) -> None:
    yard.open_line()

    (found,) = _stand(yard.now)

    assert found.until == datetime(2027, 3, 1, tzinfo=UTC)


def test_ends_come_in_order_with_the_lines_that_rest_on_them(yard: Yard) -> None:
    line = yard.open_line("sold")
    yard.plan("Swedish", "SE")
    approvals.record_determination(
        party=yard.party,
        asked=Asked(questions=(Question("enter", "SE"),), customer_class="public", use="resale"),
        conclusion=Conclusion(
            words="Nothing is asked of us, as we read it.",
            source_clause="2 kap. 1 §",
            source_read_on=date(2026, 2, 27),
            author_name="Olga Andersson",
            statement=True,
        ),
        packs=packs_in_force(),
        now=yard.now,
        actor=OWNER,
    )

    found = lines.ends(_stand(yard.now), now=yard.now)

    assert [(end.at, end.what, tuple(line.name for line in end.lines)) for end in found] == [
        # Six months on by Stockholm's calendar, which is two hours ahead in September.
        (datetime(2026, 9, 1, 22, tzinfo=UTC), "determination", ("Swedish",)),
        (datetime(2027, 3, 1, tzinfo=UTC), "approval", ("sold",)),
        (datetime(2027, 3, 1, tzinfo=UTC), "permit", ("sold",)),
    ]
    assert found[1].renew_from == datetime(2026, 12, 31, tzinfo=UTC)
    assert found[2].code == line.code


def test_line_closed_for_good_rests_on_nothing(yard: Yard) -> None:
    line = yard.open_line("closed")
    fleet.close_line(line=line, now=yard.now, actor=OWNER)

    found = lines.ends(_stand(yard.now), now=yard.now)

    assert [(end.what, end.lines) for end in found] == [("approval", ())]


def test_what_was_revoked_or_is_long_over_is_no_end(yard: Yard) -> None:
    line = yard.open_line()
    stand = _stand(yard.now)
    over = datetime(2027, 3, 1, tzinfo=UTC) + lines.ENDED_FOR

    just = lines.ends(stand, now=over - timedelta(seconds=1))
    long = lines.ends(stand, now=over)
    approval = Approval.objects.get(lines__line_code=line.code)
    fleet.revoke_approval(approval=approval, now=yard.now, actor=OWNER)
    revoked = lines.ends(_stand(yard.now), now=yard.now)

    assert {end.what for end in just} == {"approval", "permit"}
    assert (long, revoked) == ([], [])


def test_queries_do_not_grow_with_the_lines(
    yard: Yard, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    yard.open_line("one")
    with django_assert_num_queries(10):
        lines.ends(_stand(yard.now), now=yard.now)
    for name in ("two", "three"):
        yard.open_line(name)

    with django_assert_num_queries(10):
        lines.ends(_stand(yard.now), now=yard.now)
