"""What the packs ask of a line that nobody has planned."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from register_cases import AT, BUILTIN, DEMO, facts, line, office_line

from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.facts import CUSTOMER_CLASSES, USES
from ferriage.approvals.needs import imagined, needs

PLACES = ("SE", "CN", "XD", "NO", "CN-31")


def test_the_seeds_line_asks_for_what_nobody_gives() -> None:
    found = {
        (need.question.role, need.question.place): (need.answer, need.clause)
        for need in needs(line("CN", "NO", "CN"), BUILTIN, AT)
    }

    assert found == {
        ("operate", "CN"): ("unknown", ""),
        ("enter", "CN"): ("unknown", ""),
        ("exit", "NO"): ("unknown", ""),
        ("cross", "CN"): ("not_obtainable", "二(二)4"),
        ("cross", "NO"): ("unknown", ""),
        ("sell", "CN"): ("unknown", ""),
    }


def test_required_kind_comes_with_authority_and_source() -> None:
    asked = needs(office_line("CN", "US", "CN", operator="CN"), BUILTIN, AT)
    crossing = next(need for need in asked if need.question.role == "cross")

    (kind,) = crossing.kinds
    assert (crossing.answer, kind.kind.code) == ("required", "CN-INTL-LINE-LEASE")
    assert kind.authority.code == "CN-MIIT"
    assert "工信部信管函〔2017〕32号" in kind.source.title
    assert crossing.pack_version == BUILTIN.by_place["CN"].version


def test_place_without_a_pack_is_all_unknown_and_has_nothing_to_read() -> None:
    asked = needs(line("NO", "NO", "NO"), BUILTIN, AT)

    assert [(need.answer, need.source, need.sources) for need in asked] == [
        ("unknown", None, ())
    ] * 4


def test_unknown_names_what_can_be_read() -> None:
    asked = needs(line("SE", "SE", "SE"), BUILTIN, AT)

    titles = {source.title for need in asked for source in need.sources}
    assert {need.answer for need in asked} == {"unknown"}
    assert titles == {"Lag (2022:482) om elektronisk kommunikation"}


@given(
    operate=st.sampled_from(PLACES),
    enter=st.sampled_from(PLACES),
    exit_=st.sampled_from(PLACES),
    sell=st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True),
    how=st.sampled_from(tuple(product(CUSTOMER_CLASSES, USES))),
)
def test_a_line_passes_bare_exactly_where_every_need_is_nothing(
    operate: str, enter: str, exit_: str, sell: list[str], how: tuple[str, str]
) -> None:
    subject = imagined(
        operate=operate,
        enter=enter,
        exit_=exit_,
        sell=tuple(sell),
        customer_class=how[0],
        use=how[1],
    )

    asked = needs(subject, DEMO, AT)
    verdicts = [evaluate(facts(subject, place), DEMO, AT) for place in (None, *sell)]

    bare = {need.answer for need in asked} == {"not_required"}
    assert bare == all(verdict.allowed for verdict in verdicts)
    judged = {
        (found.role, found.place)
        for verdict in verdicts
        for found in (*verdict.reasons, *verdict.grounds)
    }
    assert judged == {(need.question.role, need.question.place) for need in asked}
