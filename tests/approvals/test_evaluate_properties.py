from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from register_cases import DEMO, approval, determination, facts, line

from ferriage.approvals.evaluate import LONGEST, evaluate, horizon
from ferriage.approvals.facts import ROLES, ApprovalFacts, Facts, Question
from ferriage.approvals.packfile import Row
from ferriage.approvals.packs import Later, Pack, Packs

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

TICK = timedelta(microseconds=1)
START = date(2026, 1, 1)
ZONES = ("Asia/Shanghai", "America/St_Johns", "Pacific/Kiritimati", "Europe/Berlin", "UTC")
LINE = line("XD", "XD", "XD")

days = st.integers(0, 500).map(lambda number: START + timedelta(days=number))
instants = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001 -- hypothesis wants naive bounds
    max_value=datetime(2027, 3, 1),  # noqa: DTZ001 -- the same
    timezones=st.just(UTC),
)


@st.composite
def laws(draw: DrawFn) -> Packs:
    """A pack of the demo place whose rows change now and then, in any time zone."""
    demo = DEMO.by_place["XD"]
    rows = [_row(draw, START), *(_row(draw, day) for day in draw(st.sets(days, max_size=2)))]
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    values: dict[str, Any] = {**vars(demo), "rows": tuple(rows), "zone": zone}
    values.pop("_index", None)
    return Packs({"XD": Pack(**values)})


def _row(draw: DrawFn, day: date) -> Row:
    answers = ["required", "required", "unknown", "unknown", "not_required", "not_obtainable"]
    answer = draw(st.sampled_from(answers))
    return Row(
        roles=ROLES,
        customer_classes=("public",),
        uses=("resale",),
        answer=answer,  # type: ignore[arg-type]
        clause="1",
        source="xd-lines",
        effective_from=day,
        kinds=("XD-PUBLIC-VPN",) if answer == "required" else (),
    )


@st.composite
def recorded(draw: DrawFn) -> ApprovalFacts:
    begin = draw(days)
    return approval(
        valid_from=begin,
        valid_to=begin + timedelta(days=draw(st.integers(0, 300))),
        counts_from=draw(instants),
        state=draw(st.sampled_from(["granted", "granted", "granted", "suspended"])),
    )


@st.composite
def judged(draw: DrawFn) -> Facts:
    concluded = tuple(
        determination(
            Question(role, "XD"),
            LINE,
            made_at=(made_at := draw(instants)),
            review_by=made_at.date() + timedelta(days=draw(st.integers(1, 300))),
            answer=draw(st.sampled_from(["not_required", "not_required", "not_obtainable"])),
        )
        for role in ("operate", "enter", "exit")
        for _ in range(draw(st.integers(1, 2)))
    )
    approvals = tuple(draw(st.lists(recorded(), max_size=3)))
    return facts(LINE, approvals=approvals, determinations=concluded)


@st.composite
def waited_for(draw: DrawFn) -> Packs:
    """A law beside which one or two others wait, each from an instant of its own."""
    later = draw(st.lists(st.tuples(instants, laws()), min_size=1, max_size=2))
    return Packs(draw(laws()).by_place, tuple(Later(at, packs) for at, packs in later))


@given(
    law=laws() | waited_for(),
    case=judged(),
    moments=st.lists(instants, min_size=4),
    share=st.floats(0, 1),
)
def test_allowed_verdict_holds_exactly_until_it_says(
    law: Packs, case: Facts, moments: list[datetime], share: float
) -> None:
    for at in moments:
        verdict = evaluate(case, law, at)
        if not verdict.allowed:
            continue
        length = verdict.valid_until - at
        assert timedelta() < length <= LONGEST
        assert evaluate(case, law, at + (length - TICK) * share).allowed
        assert evaluate(case, law, verdict.valid_until - TICK).allowed
        if verdict.valid_until < horizon(at):
            assert not evaluate(case, law, verdict.valid_until).allowed


@given(law=waited_for(), case=judged(), at=instants)
def test_what_waits_only_takes_away(law: Packs, case: Facts, at: datetime) -> None:
    verdict, accepted = evaluate(case, law, at), evaluate(case, Packs(law.by_place), at)
    waiting = [evaluate(case, later.packs, at) for later in law.later if later.at <= at]
    begun = evaluate(case, law.at_once, at)

    assert verdict.allowed == (accepted.allowed and all(one.allowed for one in waiting))
    assert verdict.valid_until <= accepted.valid_until
    assert begun.allowed == (
        accepted.allowed and all(evaluate(case, one.packs, at).allowed for one in law.later)
    )


@given(law=laws() | waited_for(), case=judged(), at=instants)
def test_denial_has_reasons_and_an_allowed_verdict_has_none(
    law: Packs, case: Facts, at: datetime
) -> None:
    verdict = evaluate(case, law, at)
    assert verdict.allowed is not bool(verdict.reasons)
    assert verdict.allowed or verdict.valid_until == at
