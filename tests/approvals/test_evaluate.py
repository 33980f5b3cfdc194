from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from register_cases import (
    AT,
    BUILTIN,
    DEMO,
    DEMO_LINE,
    EVERY_ROLE,
    SEED_OPERATOR,
    approval,
    determination,
    facts,
    lease,
    line,
    office_line,
    row,
    write_pack,
)

from ferriage.approvals import packs
from ferriage.approvals.evaluate import evaluate, open_questions, questions, rests_until
from ferriage.approvals.facts import ApprovalFacts, LineFacts, Question, Verdict
from ferriage.approvals.spans import LONGEST, add_months, determination_end, horizon

if TYPE_CHECKING:
    from pathlib import Path

TICK = timedelta(microseconds=1)
NOTICE = "工信部信管函〔2017〕32号"


def asked(subject: LineFacts, customer: str | None) -> set[tuple[str, str]]:
    found = questions(subject, customer_place=customer, packs=BUILTIN)
    return {(question.role, question.place) for question in found}


def crossings(subject: LineFacts, customer: str | None) -> set[str]:
    return {place for role, place in asked(subject, customer) if role == "cross"}


def refusals(verdict: Verdict) -> set[tuple[str, str, str]]:
    return {(reason.role, reason.place, reason.slug) for reason in verdict.reasons}


# --- what is asked ----------------------------------------------------------------------------


def test_gateway_abroad_asks_both_places_about_crossing() -> None:
    assert crossings(line("DE", "DE", "SE", operator="SE"), "SE") == {"SE", "DE"}


def test_gateway_and_exit_in_one_country_abroad_still_ask_the_customers_place() -> None:
    assert crossings(line("JP", "JP", "CN", operator="CN"), "CN") == {"CN", "JP"}


def test_path_within_one_country_crosses_nothing() -> None:
    assert crossings(line("SE", "SE", "SE"), "SE") == set()


def test_path_through_three_countries_asks_each() -> None:
    assert crossings(line("DE", "US", "SE"), "SE") == {"SE", "DE", "US"}


def test_subdivisions_of_one_country_do_not_cross() -> None:
    assert crossings(line("CN-31", "CN", "CN-11"), "CN-11") == set()


def test_hong_kong_is_a_jurisdiction_of_its_own() -> None:
    assert crossings(line("HK", "HK", "CN", operator="HK"), "CN") == {"CN", "HK"}


def test_permit_asks_about_every_place_on_the_line_but_not_about_the_sale() -> None:
    assert asked(line("DE", "DE", "DE", "SE", "CN", operator="SE"), None) == {
        ("operate", "SE"),
        ("enter", "DE"),
        ("exit", "DE"),
        ("cross", "DE"),
        ("cross", "SE"),
        ("cross", "CN"),
    }


def test_sale_asks_about_the_customers_place_only() -> None:
    assert asked(line("DE", "DE", "DE", "SE", "CN", operator="SE"), "SE") == {
        ("operate", "SE"),
        ("enter", "DE"),
        ("exit", "DE"),
        ("cross", "DE"),
        ("cross", "SE"),
        ("sell", "SE"),
    }


# --- the seed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("customer", [None, "CN"])
@pytest.mark.parametrize(("enter", "exit_"), [("CN", "US"), ("JP", "JP"), ("JP", "US")])
def test_seeds_shop_is_refused_with_the_notice_and_its_item(
    enter: str, exit_: str, customer: str | None
) -> None:
    subject = line(enter, exit_, "CN", operator="CN")
    verdict = evaluate(facts(subject, customer), BUILTIN, AT)
    crossing = [reason for reason in verdict.reasons if reason.slug == "not-obtainable"]
    assert not verdict.allowed
    assert [(reason.role, reason.place, reason.clause) for reason in crossing] == [
        ("cross", "CN", "二(二)4")
    ]
    assert NOTICE in crossing[0].source


def test_seeds_shop_stays_refused_whatever_else_is_recorded() -> None:
    subject = line("JP", "JP", "CN", operator="CN")
    concluded = tuple(
        determination(question, subject)
        for question in questions(subject, customer_place="CN", packs=BUILTIN)
    )
    everything = facts(subject, "CN", approvals=(lease(),), determinations=concluded)
    verdict = evaluate(everything, BUILTIN, AT)
    assert refusals(verdict) == {("cross", "CN", "not-obtainable")}


@pytest.mark.parametrize("customer", [None, "CN"])
def test_own_staff_pass_over_a_leased_line(customer: str | None) -> None:
    subject = replace(
        office_line("CN", "JP", "CN", operator="CN"), operator=SEED_OPERATOR, code="ln_office"
    )
    contract = lease(holder=SEED_OPERATOR.code, lines=frozenset({"ln_office"}))
    without = facts(subject, customer, approvals=(contract,))
    concluded = tuple(
        determination(question, subject) for question in open_questions(without, BUILTIN, AT)
    )
    verdict = evaluate(replace(without, determinations=concluded), BUILTIN, AT)
    assert verdict.allowed
    assert ("cross", "CN", "approval-in-force") in {
        (ground.role, ground.place, ground.slug) for ground in verdict.grounds
    }


def test_own_staff_without_the_lease_are_refused_for_the_crossing() -> None:
    subject = office_line("CN", "JP", "CN", operator="CN")
    concluded = tuple(
        determination(question, subject)
        for question in questions(subject, customer_place=None, packs=BUILTIN)
    )
    verdict = evaluate(facts(subject, determinations=concluded), BUILTIN, AT)
    assert refusals(verdict) == {("cross", "CN", "approval-missing")}


# --- determinations ---------------------------------------------------------------------------

SWEDISH = line("SE", "SE", "SE")
SWEDISH_QUESTIONS = tuple(Question(role, "SE") for role in ("operate", "enter", "exit", "sell"))


def swedish(**changes: dict[str, Any]) -> Verdict:
    """Judge the Swedish sale with a conclusion per question; `changes` are keyed by role."""
    concluded = tuple(
        determination(question, SWEDISH, **changes.get(question.role, {}))
        for question in SWEDISH_QUESTIONS
    )
    return evaluate(facts(SWEDISH, "SE", determinations=concluded), BUILTIN, AT)


def test_swedish_seller_needs_four_conclusions_and_passes_with_them() -> None:
    assert open_questions(facts(SWEDISH, "SE"), BUILTIN, AT) == SWEDISH_QUESTIONS
    assert swedish().allowed


def test_question_whose_conclusion_lapsed_is_open_again() -> None:
    question = SWEDISH_QUESTIONS[0]
    lapsed = determination(question, SWEDISH, review_by=date(2026, 11, 23))
    judged = facts(SWEDISH, "SE", determinations=(lapsed,))
    assert open_questions(judged, BUILTIN, AT) == SWEDISH_QUESTIONS
    assert question not in open_questions(judged, BUILTIN, AT - timedelta(days=1))


def test_swedish_seller_is_refused_before_concluding() -> None:
    verdict = evaluate(facts(SWEDISH, "SE"), BUILTIN, AT)
    assert refusals(verdict) == {(question.role, "SE", "unknown") for question in SWEDISH_QUESTIONS}
    assert {reason.clause for reason in verdict.reasons} == {"2 kap. 1 §"}


@pytest.mark.parametrize("missing", SWEDISH_QUESTIONS)
def test_one_missing_conclusion_refuses_and_is_named(missing: Question) -> None:
    concluded = tuple(
        determination(question, SWEDISH) for question in SWEDISH_QUESTIONS if question != missing
    )
    verdict = evaluate(facts(SWEDISH, "SE", determinations=concluded), BUILTIN, AT)
    assert refusals(verdict) == {(missing.role, "SE", "unknown")}


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"review_by": date(2026, 11, 23)}, "determination-overdue"),
        ({"made_at": datetime(2026, 5, 1, tzinfo=UTC)}, "determination-overdue"),
        ({"made_at": datetime(2026, 11, 25, tzinfo=UTC)}, "unknown"),
        ({"answer": "not_obtainable"}, "determined-not-obtainable"),
        ({"party": "pty_2"}, "unknown"),
        ({"line": "ln_2"}, "unknown"),
        ({"customer_class": "enterprise"}, "unknown"),
        ({"use": "internal_office"}, "unknown"),
        ({"place": "DE"}, "unknown"),
        ({"answer": "required", "kinds": ("SE-TEA",)}, "approval-missing"),
    ],
)
def test_conclusion_that_does_not_answer_refuses(change: dict[str, Any], slug: str) -> None:
    assert refusals(swedish(sell=change)) == {("sell", "SE", slug)}


def test_conclusion_about_this_line_answers() -> None:
    assert swedish(sell={"line": "ln_1"}).allowed


def test_newest_conclusion_decides_and_an_older_one_does_not_revive() -> None:
    older = determination(SWEDISH_QUESTIONS[0], SWEDISH)
    newer = replace(older, made_at=datetime(2026, 11, 2, tzinfo=UTC), review_by=date(2026, 11, 10))
    verdict = evaluate(facts(SWEDISH, determinations=(older, newer)), BUILTIN, AT)
    assert ("operate", "SE", "determination-overdue") in refusals(verdict)


def test_own_conclusion_lapses_after_six_months_whatever_its_review_date() -> None:
    made = determination(
        SWEDISH_QUESTIONS[0],
        SWEDISH,
        made_at=datetime(2026, 8, 31, 12, tzinfo=UTC),
        review_by=date(2030, 1, 1),
    )
    assert determination_end(made, BUILTIN) == datetime(2027, 2, 28, 23, tzinfo=UTC)
    counsel = replace(made, grade="counsel")
    assert determination_end(counsel, BUILTIN) == datetime(2027, 8, 31, 22, tzinfo=UTC)


def test_conclusion_is_void_once_the_pack_answers(tmp_path: Path) -> None:
    rows = row("unknown", roles=EVERY_ROLE) + row(
        "not_obtainable", roles='"exit"', effective_from="2026-12-01"
    )
    pack = packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows))
    subject = line("JP", "JP", "JP")
    concluded = tuple(
        determination(question, subject)
        for question in questions(subject, customer_place=None, packs=BUILTIN)
    )
    judged = facts(subject, determinations=concluded)
    law = packs.Packs({"JP": pack})
    change = datetime(2026, 11, 30, 15, tzinfo=UTC)
    assert evaluate(judged, law, AT).valid_until == change
    assert refusals(evaluate(judged, law, change)) == {("exit", "JP", "not-obtainable")}


def test_place_without_a_pack_is_unknown_and_can_be_concluded_on() -> None:
    subject = line("FI", "FI", "FI")
    before = evaluate(facts(subject), BUILTIN, AT)
    concluded = tuple(
        determination(question, subject)
        for question in questions(subject, customer_place=None, packs=BUILTIN)
    )
    assert {reason.slug for reason in before.reasons} == {"unknown"}
    assert evaluate(facts(subject, determinations=concluded), BUILTIN, AT).allowed


# --- approvals: the truth table ---------------------------------------------------------------

SITUATIONS: dict[str, tuple[tuple[ApprovalFacts, ...], str]] = {
    "none": ((), "approval-missing"),
    "wrong kind": ((lease(),), "approval-missing"),
    "not yet valid": ((approval(valid_from=date(2026, 11, 25)),), "approval-not-yet-valid"),
    "lapsed": ((approval(valid_to=date(2026, 11, 23)),), "approval-lapsed"),
    "suspended": ((approval(state="suspended"),), "approval-suspended"),
    "draft": ((approval(state="draft"),), "approval-draft"),
    "lodged": ((approval(state="lodged"),), "approval-lodged"),
    "revoked": ((approval(state="revoked"),), "approval-revoked"),
    "surrendered": ((approval(state="surrendered"),), "approval-surrendered"),
    "refused": ((approval(state="refused"),), "approval-refused"),
    "wrong holder": ((approval(holder="pty_2"),), "approval-other-holder"),
    "wrong scope": ((approval(lines=frozenset({"ln_2"})),), "approval-other-line"),
    "no number": ((approval(has_number=False),), "approval-without-number"),
    "no evidence": ((approval(has_evidence=False),), "approval-without-evidence"),
    "one person": ((approval(verified=False),), "approval-unverified"),
    "not counting": ((approval(counts_from=None),), "approval-not-counting"),
    "counts tomorrow": ((approval(counts_from=AT + TICK),), "approval-not-counting"),
    "no end": ((approval(valid_to=None),), "approval-without-end"),
    "ok": ((approval(),), ""),
    "no first day": ((approval(valid_from=None),), "approval-not-yet-valid"),
    "one of two": ((approval(state="revoked"), approval(code="apr_2")), ""),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("customer", [None, "XD"])
def test_only_an_approval_without_a_flaw_passes(situation: str, customer: str | None) -> None:
    approvals, slug = SITUATIONS[situation]
    verdict = evaluate(facts(DEMO_LINE, customer, approvals=approvals), DEMO, AT)
    assert verdict.allowed is (not slug)
    assert refusals(verdict) == (
        {(role, "XD", slug) for role in ("operate", "enter", "exit")} if slug else set()
    )


@pytest.mark.parametrize("role", ["operate", "enter", "exit", "sell", "cross"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_role_that_asks_for_an_approval_refuses_by_itself(
    tmp_path: Path, role: str, situation: str
) -> None:
    others = ", ".join(f'"{other}"' for other in EVERY_ROLE.replace('"', "").split(", "))
    others = ", ".join(part for part in others.split(", ") if part != f'"{role}"')
    rows = row("not_required", roles=others) + row(
        "required", roles=f'"{role}"', kinds='["JP-LICENCE"]'
    )
    law = packs.Packs(
        {
            place: packs.load_file(write_pack(tmp_path / f"{place}.toml", place=place, rows=text))
            for place, text in (("JP", rows), ("KR", row("not_required", roles=EVERY_ROLE)))
        }
    )
    approvals, slug = SITUATIONS[situation]
    recorded = tuple(
        replace(item, kind="JP-LICENCE") if item.kind == "XD-PUBLIC-VPN" else item
        for item in approvals
    )
    subject = line("JP", "JP", "JP", "KR")
    customer = "KR" if role == "cross" else "JP"
    verdict = evaluate(facts(subject, customer, approvals=recorded), law, AT)
    assert refusals(verdict) == ({(role, "JP", slug)} if slug else set())


def test_refusal_names_the_approval_that_is_nearest_to_holding() -> None:
    recorded = (
        approval(code="apr_far", holder="pty_2"),
        approval(code="apr_near", valid_to=date(2026, 11, 23)),
        approval(code="apr_mid", state="suspended"),
    )
    verdict = evaluate(facts(DEMO_LINE, approvals=recorded), DEMO, AT)
    assert {reason.slug for reason in verdict.reasons} == {"approval-lapsed"}
    assert {dict(reason.params)["approval"] for reason in verdict.reasons} == {"apr_near"}


def test_notification_counts_from_its_lodging(tmp_path: Path) -> None:
    rows = row("notify", roles=EVERY_ROLE, kinds='["JP-NOTICE"]')
    law = packs.Packs({"JP": packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows))})
    lodged = approval(
        kind="JP-NOTICE",
        state="lodged",
        counts_from=AT,
        valid_from=None,
        valid_to=None,
        has_number=False,
        verified=False,
    )
    judged = facts(line("JP", "JP", "JP"), "JP", approvals=(lodged,))
    assert not evaluate(judged, law, AT - TICK).allowed
    verdict = evaluate(judged, law, AT)
    assert (verdict.allowed, verdict.valid_until) == (True, horizon(AT))


def test_notification_goes_on_counting_once_the_authority_confirms_it(tmp_path: Path) -> None:
    rows = row("notify", roles=EVERY_ROLE, kinds='["JP-NOTICE"]')
    law = packs.Packs({"JP": packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows))})
    confirmed = approval(kind="JP-NOTICE", verified=False, valid_to=None)
    judged = facts(line("JP", "JP", "JP"), "JP", approvals=(confirmed,))
    assert evaluate(judged, law, AT).allowed


def test_own_staff_of_the_demo_need_no_approval() -> None:
    subject = office_line("XD", "XD", "XD", operator="XD")
    verdict = evaluate(facts(subject, "XD"), DEMO, AT)
    assert (verdict.allowed, verdict.valid_until) == (True, horizon(AT))


# --- lines that cannot be judged --------------------------------------------------------------


def test_customer_in_a_place_that_is_not_on_the_line_is_refused() -> None:
    verdict = evaluate(facts(DEMO_LINE, "SE", approvals=(approval(),)), DEMO, AT)
    assert refusals(verdict) == {("sell", "SE", "place-not-on-line")}


def test_customer_in_a_subdivision_of_a_place_on_the_line_is_served() -> None:
    assert evaluate(facts(DEMO_LINE, "XD-1", approvals=(approval(),)), DEMO, AT).allowed


@pytest.mark.parametrize("place", ["XD\0", "XDx", "XD-", "XD ", "XD\n", "xd", "XD-1<script>"])
def test_customer_in_what_is_no_place_is_refused(place: str) -> None:
    verdict = evaluate(facts(DEMO_LINE, place, approvals=(approval(),)), DEMO, AT)
    assert refusals(verdict) == {("sell", place, "place-unreadable")}


def test_customer_in_another_subdivision_than_the_lines_is_refused() -> None:
    subject = line("XD", "XD", "XD-1")
    verdict = evaluate(facts(subject, "XD-2", approvals=(approval(),)), DEMO, AT)
    assert refusals(verdict) == {("sell", "XD-2", "place-not-on-line")}


def test_customer_who_did_not_say_where_they_are_is_refused() -> None:
    verdict = evaluate(facts(DEMO_LINE, "", approvals=(approval(),)), DEMO, AT)
    assert refusals(verdict) == {("sell", "", "place-not-declared")}


def test_line_without_a_place_to_sell_in_is_refused() -> None:
    verdict = evaluate(facts(line("XD", "XD"), approvals=(approval(),)), DEMO, AT)
    assert refusals(verdict) == {("sell", "", "no-place-to-sell")}


def test_line_through_a_place_that_is_not_a_code_is_refused() -> None:
    verdict = evaluate(facts(line("XD", "Xanadu", "XD"), approvals=(approval(),)), DEMO, AT)
    assert refusals(verdict) == {("operate", "Xanadu", "place-unreadable")}


# --- instants ---------------------------------------------------------------------------------


def test_approval_ends_at_midnight_of_the_authority() -> None:
    subject = office_line("CN", "JP", "CN", operator="CN")
    concluded = tuple(
        determination(question, subject, review_by=date(2027, 4, 30))
        for question in questions(subject, customer_place=None, packs=BUILTIN)
    )
    judged = facts(
        subject, approvals=(lease(valid_to=date(2026, 12, 31)),), determinations=concluded
    )
    midnight = datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert evaluate(judged, BUILTIN, AT).valid_until == midnight
    assert evaluate(judged, BUILTIN, midnight - TICK).allowed
    assert refusals(evaluate(judged, BUILTIN, midnight)) == {("cross", "CN", "approval-lapsed")}


def test_approval_begins_at_midnight_of_the_authority() -> None:
    recorded = approval(valid_from=date(2026, 6, 1))
    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    assert not evaluate(facts(DEMO_LINE, approvals=(recorded,)), DEMO, midnight - TICK).allowed
    assert evaluate(facts(DEMO_LINE, approvals=(recorded,)), DEMO, midnight).allowed


def test_renewal_without_a_gap_carries_the_verdict_on() -> None:
    renewal = approval(code="apr_2", valid_from=date(2027, 3, 1), valid_to=date(2027, 6, 30))
    verdict = evaluate(facts(DEMO_LINE, approvals=(approval(), renewal)), DEMO, AT)
    assert verdict.valid_until == datetime(2027, 7, 1, tzinfo=UTC)


def test_renewal_after_a_gap_does_not() -> None:
    renewal = approval(code="apr_2", valid_from=date(2027, 3, 2), valid_to=date(2027, 6, 30))
    verdict = evaluate(facts(DEMO_LINE, approvals=(approval(), renewal)), DEMO, AT)
    assert verdict.valid_until == datetime(2027, 3, 1, tzinfo=UTC)


def test_verdict_without_an_end_reaches_to_a_month_a_year_ahead() -> None:
    long = approval(valid_to=date(2099, 12, 31))
    verdicts = [
        evaluate(facts(DEMO_LINE, approvals=(long,)), DEMO, at)
        for at in (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC) - TICK)
    ]
    assert [verdict.valid_until for verdict in verdicts] == [datetime(2027, 12, 1, tzinfo=UTC)] * 2


def test_horizon_is_a_year_ahead_and_at_most_400_days() -> None:
    starts = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(1461)]
    lengths = [horizon(at) - at for at in starts]
    assert timedelta(days=365) <= min(lengths)
    assert max(lengths) <= LONGEST


def test_denial_holds_from_the_instant_it_was_asked() -> None:
    assert evaluate(facts(DEMO_LINE), DEMO, AT).valid_until == AT


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 12, 1), 12, date(2027, 12, 1)),
    ],
)
def test_months_are_clamped_to_the_last_day(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later


# --- approvals that a conclusion asks for -----------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "place", "role", "slug"),
    [
        (line("FI", "XD", "XD"), "XD", "exit", ""),
        (line("FI", "XD", "XD"), "FI", "operate", "approval-not-covering"),
        (line("XD", "XD", "XD"), "XD", "cross", "approval-not-covering"),
        (replace(DEMO_LINE, customer_class="enterprise"), "XD", "exit", "approval-not-covering"),
        (replace(DEMO_LINE, use="internal_office"), "XD", "exit", "approval-not-covering"),
    ],
    ids=["covering", "another place's", "another role", "another class", "another use"],
)
def test_approval_that_a_conclusion_asks_for_must_cover_the_question(
    subject: LineFacts, place: str, role: Any, slug: str
) -> None:
    law = packs.Packs({"XD": replace(DEMO.by_place["XD"], rows=())})
    if role == "cross":
        subject = replace(subject, sell_places=("FI",))
    asked_for = determination(
        Question(role, place), subject, answer="required", kinds=("XD-PUBLIC-VPN",)
    )
    judged = facts(subject, approvals=(approval(),), determinations=(asked_for,))
    found = {
        reason.slug
        for reason in evaluate(judged, law, AT).reasons
        if (reason.role, reason.place) == (role, place)
    }
    assert found == ({slug} if slug else set())


def test_later_conclusion_bounds_the_verdict_before_it() -> None:
    changed = AT + timedelta(days=10)
    concluded = [determination(question, SWEDISH) for question in SWEDISH_QUESTIONS]
    reversal = replace(concluded[0], code="det_2", made_at=changed, answer="not_obtainable")
    judged = facts(SWEDISH, "SE", determinations=(*concluded, reversal))
    assert evaluate(judged, BUILTIN, AT).valid_until == changed
    assert not evaluate(judged, BUILTIN, changed).allowed


def test_subdivision_with_a_pack_of_its_own_is_a_jurisdiction(tmp_path: Path) -> None:
    own = packs.load_file(
        write_pack(tmp_path / "US-CA.toml", place="US-CA", rows=row("not_obtainable"))
    )
    law = packs.Packs({**BUILTIN.by_place, "US-CA": own})
    subject = line("US-NY", "US-NY", "US-CA", operator="US-CA")
    found = questions(subject, customer_place=None, packs=law)
    assert {question.place for question in found if question.role == "cross"} == {"US", "US-CA"}
    assert ("operate", "US-CA", "not-obtainable") in refusals(evaluate(facts(subject), law, AT))


# --- what a term may rest on ------------------------------------------------------------------


def test_terms_end_with_the_approval_however_far_away() -> None:
    long = approval(valid_to=date(2099, 12, 31))
    found = facts(DEMO_LINE, "XD", approvals=(long,))

    assert rests_until(found, DEMO, AT) == datetime(2100, 1, 1, tzinfo=UTC)
    assert evaluate(found, DEMO, AT).valid_until == horizon(AT)


def test_terms_go_on_through_a_renewal_but_not_over_a_gap() -> None:
    first = approval(valid_to=date(2027, 2, 28))
    renewal = approval(code="apr_2", valid_from=date(2027, 3, 1), valid_to=date(2029, 6, 30))
    late = approval(code="apr_2", valid_from=date(2027, 3, 2), valid_to=date(2029, 6, 30))

    assert rests_until(facts(DEMO_LINE, approvals=(first, renewal)), DEMO, AT) == datetime(
        2029, 7, 1, tzinfo=UTC
    )
    assert rests_until(facts(DEMO_LINE, approvals=(first, late)), DEMO, AT) == datetime(
        2027, 3, 1, tzinfo=UTC
    )


def test_terms_of_a_line_that_is_denied_end_at_once() -> None:
    assert rests_until(facts(DEMO_LINE), DEMO, AT) == AT


def test_determinations_and_open_ended_approvals_bound_no_term(tmp_path: Path) -> None:
    subject = line("SE", "SE", "SE")
    asked_of_it = questions(subject, customer_place="SE", packs=BUILTIN)
    concluded = tuple(determination(question, subject) for question in asked_of_it)
    found = facts(subject, "SE", determinations=concluded)
    rows = row("notify", roles=EVERY_ROLE, kinds='["JP-NOTICE"]')
    pack = packs.Packs({"JP": packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows))})
    notified = approval(kind="JP-NOTICE", valid_to=None)

    assert evaluate(found, BUILTIN, AT).valid_until < horizon(AT)
    assert rests_until(found, BUILTIN, AT) is None
    assert rests_until(facts(line("JP", "JP", "JP"), approvals=(notified,)), pack, AT) is None


def test_determination_that_is_overdue_when_asked_bounds_everything() -> None:
    subject = line("SE", "SE", "SE")
    asked_of_it = questions(subject, customer_place="SE", packs=BUILTIN)
    concluded = tuple(determination(question, subject) for question in asked_of_it)
    later = determination_end(concluded[0], BUILTIN)

    assert rests_until(facts(subject, "SE", determinations=concluded), BUILTIN, later) == later


def test_approval_that_a_determination_asks_for_bounds_the_term() -> None:
    subject = office_line("CN", "US", "CN", operator="CN")
    asked_of_it = questions(subject, customer_place="CN", packs=BUILTIN)
    concluded = tuple(
        determination(question, subject)
        for question in asked_of_it
        if (question.role, question.place) != ("cross", "CN")
    )
    found = facts(
        subject, "CN", approvals=(lease(valid_to=date(2029, 12, 31)),), determinations=concluded
    )

    assert rests_until(found, BUILTIN, AT) == datetime(2029, 12, 31, 16, tzinfo=UTC)


def test_rule_that_is_known_to_change_bounds_the_term(tmp_path: Path) -> None:
    rows = row("not_required", roles=EVERY_ROLE) + row(
        "not_obtainable", roles=EVERY_ROLE, effective_from="2028-01-01"
    )
    pack = packs.Packs({"JP": packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows))})

    assert rests_until(facts(line("JP", "JP", "JP")), pack, AT) == datetime(
        2027, 12, 31, 15, tzinfo=UTC
    )
