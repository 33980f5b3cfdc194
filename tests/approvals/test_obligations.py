"""Duties that a rule pack brings: which files are usable, and which duties deny a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from register_cases import (
    AT,
    BUILTIN,
    DEMO,
    DEMO_LINE,
    EVERY_ROLE,
    approval,
    facts,
    line,
    row,
    write_pack,
)

from ferriage.approvals import packs
from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.packs import PackError
from ferriage.approvals.reasons import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from ferriage.approvals.facts import ApprovalFacts, Verdict
    from ferriage.approvals.packs import Packs

RECORDS = {
    "code": '"JP-RECORDS"',
    "names": '{ en = "Records of subscribers for five years", zh-hans = "用户记录" }',
    "duty": '"retention"',
    "standing": '"not_supported"',
    "clause": '"section 9"',
    "source": '"quoted"',
}


def obligation(**more: str) -> str:
    """Return the TOML of a duty that nobody can fulfil here, unless told otherwise."""
    values = {**RECORDS, **more}
    return "\n[[obligations]]\n" + "\n".join(f"{key} = {value}" for key, value in values.items())


def pack(tmp_path: Path, *parts: str) -> Packs:
    return packs.Packs(
        {"JP": packs.load_file(write_pack(tmp_path / "JP.toml", rows="".join(parts)))}
    )


def judge(found: Packs, *approvals: ApprovalFacts) -> Verdict:
    return evaluate(facts(line("JP", "JP", "JP"), approvals=approvals), found, AT)


def duty_of_kind(tmp_path: Path, kind: str, rows: str, **more: str) -> Packs:
    """Return a pack whose kind brings the duty, with these rows."""
    path = write_pack(tmp_path / "JP.toml", rows=rows + obligation(**more))
    text = path.read_text(encoding="utf-8")
    named = f'code = "{kind}"\n'
    path.write_text(text.replace(named, named + 'obligations = ["JP-RECORDS"]\n'), "utf-8")
    return packs.Packs({"JP": packs.load_file(path)})


# --- what denies ------------------------------------------------------------------------------


def test_row_that_brings_a_duty_nobody_can_fulfil_is_denied_naming_duty_and_clause(
    tmp_path: Path,
) -> None:
    rows = row("not_required", roles=EVERY_ROLE, obligations='["JP-RECORDS"]')
    found = pack(tmp_path, rows, obligation())
    verdict = judge(found)

    assert [(reason.role, reason.slug) for reason in verdict.reasons] == [
        (role, "duty-not-supported") for role in ("operate", "enter", "exit")
    ]
    assert sentence(verdict.reasons[0], "en", found) == (
        "operating from Somewhere [JP]: The law brings a duty that cannot be fulfilled with "
        "Ferriage: Records of subscribers for five years [JP-RECORDS]. (section 9, An act, quoted)"
    )
    assert sentence(verdict.reasons[0], "zh-hans", found) == (
        "在Somewhere [JP]经营：法律附带的义务无法用 Ferriage 履行：用户记录 [JP-RECORDS]。"
        "（section 9，An act, quoted）"
    )


@pytest.mark.parametrize("standing", ["fulfilled_by_ferriage", "fulfilled_by_operator"])
def test_duty_that_somebody_fulfils_denies_nothing(tmp_path: Path, standing: str) -> None:
    rows = row("not_required", roles=EVERY_ROLE, obligations='["JP-RECORDS"]')

    assert judge(pack(tmp_path, rows, obligation(standing=f'"{standing}"'))).allowed


def test_approval_in_force_of_a_kind_with_such_a_duty_opens_nothing(tmp_path: Path) -> None:
    rows = row("required", roles=EVERY_ROLE, kinds='["JP-LICENCE"]')
    licence = approval(kind="JP-LICENCE")
    assert judge(pack(tmp_path, rows), licence).allowed

    verdict = judge(duty_of_kind(tmp_path, "JP-LICENCE", rows), licence)

    assert {reason.slug for reason in verdict.reasons} == {"duty-not-supported"}


def test_duty_is_named_before_anybody_applies_for_the_approval(tmp_path: Path) -> None:
    rows = row("required", roles=EVERY_ROLE, kinds='["JP-LICENCE"]')

    verdict = judge(duty_of_kind(tmp_path, "JP-LICENCE", rows))

    assert {reason.slug for reason in verdict.reasons} == {"duty-not-supported"}


def test_kind_without_such_a_duty_still_satisfies_the_row(tmp_path: Path) -> None:
    other = """
[[kinds]]
code = "JP-OTHER"
names = { en = "Another licence" }
authority = "JP-A"
roles = ["operate", "enter", "exit", "cross", "sell"]
customer_classes = ["public"]
uses = ["resale"]
clause = "2"
source = "act"
"""
    rows = row("required", roles=EVERY_ROLE, kinds='["JP-LICENCE", "JP-OTHER"]') + other
    found = duty_of_kind(tmp_path, "JP-LICENCE", rows)

    assert judge(found, approval(kind="JP-OTHER")).allowed
    refused = judge(found, approval(kind="JP-LICENCE"))
    assert [(reason.slug, dict(reason.params)["kind"]) for reason in refused.reasons] == [
        ("approval-missing", "JP-OTHER")
    ] * 3


def test_packs_that_ship_deny_nobody_for_a_duty() -> None:
    standings = {duty.standing for duty in BUILTIN.obligations.values()}

    assert standings == {"fulfilled_by_operator"}
    assert evaluate(facts(DEMO_LINE, approvals=(approval(),)), DEMO, AT).allowed


# --- what makes a pack unusable ---------------------------------------------------------------

BY_KIND = row("required", kinds='["JP-LICENCE"]')
BROUGHT = row("required", kinds='["JP-LICENCE"]', obligations='["JP-RECORDS"]')


@pytest.mark.parametrize(
    ("rows", "changes", "fault"),
    [
        (BROUGHT, {"code": '"XX-RECORDS"'}, "obligation JP-RECORDS is not listed"),
        (row("unknown"), {}, "obligation JP-RECORDS is brought by no kind and no row"),
        (BROUGHT, {"names": '{ zh-hans = "记录" }'}, "obligation JP-RECORDS: names has no `en`"),
        (BROUGHT, {"clause": '""'}, "obligation JP-RECORDS needs a clause"),
        (BROUGHT, {"source": '"none"'}, "obligation JP-RECORDS: source none is not listed"),
        (
            BROUGHT,
            {"source": '"paper"'},
            "obligation JP-RECORDS needs a primary source that was read, with the date",
        ),
        (
            BROUGHT,
            {"due": "{ days_after_grant = 30 }"},
            "obligation JP-RECORDS: a row grants nothing, so days_after_grant is a kind's",
        ),
        (
            row("unknown", obligations='["JP-RECORDS"]'),
            {},
            "row 1: answer unknown and obligations do not go together",
        ),
    ],
)
def test_pack_with_a_faulty_duty_is_refused(
    tmp_path: Path, rows: str, changes: dict[str, str], fault: str
) -> None:
    with pytest.raises(PackError) as caught:
        pack(tmp_path, rows, obligation(**changes))

    assert str(caught.value) == f"{tmp_path / 'JP.toml'}: {fault}."


@pytest.mark.parametrize(
    "due",
    [
        '{ yearly_on = "02-29" }',
        '{ yearly_on = "13-01" }',
        '{ yearly_on = "3-1" }',
        "{ days_after_grant = 0 }",
        "{ hours_after_incident = -1 }",
        '{ yearly_on = "03-31", days_after_grant = 30 }',
    ],
)
def test_pack_whose_duty_falls_due_on_no_day_is_refused(tmp_path: Path, due: str) -> None:
    with pytest.raises(PackError, match="obligation JP-RECORDS: `due` takes one of"):
        duty_of_kind(tmp_path, "JP-LICENCE", BY_KIND, due=due)


@pytest.mark.parametrize(
    "due", ['{ yearly_on = "02-28" }', "{ days_after_grant = 1 }", "{ hours_after_incident = 24 }"]
)
def test_pack_whose_duty_falls_due_is_loaded(tmp_path: Path, due: str) -> None:
    found = duty_of_kind(tmp_path, "JP-LICENCE", BY_KIND, due=due)

    assert list(found.obligations) == ["JP-RECORDS"]


def test_unknown_standing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="standing"):
        pack(tmp_path, BROUGHT, obligation(standing='"forgotten"'))
