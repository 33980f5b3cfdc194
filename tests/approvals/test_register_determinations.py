from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, transaction
from register_cases import line

from ferriage.approvals import actions
from ferriage.approvals.facts import LineFacts, Question
from ferriage.approvals.models import Determination
from ferriage.approvals.queries import judge, party_facts, questions_left
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from register_office import Register

WORDS = actions.Conclusion(
    words="The service falls outside what the act asks to be notified, because …",
    source_clause="chapter 2 section 1",
    source_read_on=date(2026, 2, 27),
    author_name="Astrid Lund",
    statement=True,
)


@pytest.fixture
def swede(register: Register) -> Register:
    party = actions.create_party(
        name="Ferry AB", place="SE", now=register.now, actor=register.owner
    )
    return replace(register, party=party)


def path(register: Register, enter: str, exit_: str, sell: str) -> LineFacts:
    return replace(line(enter, exit_, sell), operator=party_facts(register.party))


def conclude(
    register: Register,
    questions: tuple[Question, ...],
    conclusion: actions.Conclusion = WORDS,
    now: datetime | None = None,
) -> list[Determination]:
    return actions.record_determination(
        party=register.party,
        asked=actions.Asked(questions=questions, customer_class="public", use="resale"),
        conclusion=conclusion,
        packs=register.law,
        now=now or register.now,
        actor=register.owner,
    )


def test_swedish_seller_passes_after_one_form_and_not_before(swede: Register) -> None:
    subject = path(swede, "SE", "SE", "SE")
    before = judge(line=subject, at=swede.now, customer_place="SE")
    left = questions_left(line=subject, at=swede.now, customer_place="SE")
    rows = conclude(swede, left)
    after = judge(line=subject, at=swede.now, customer_place="SE")
    assert (before.allowed, len(left), len(rows), after.allowed) == (False, 4, 4, True)
    assert after.valid_until == datetime(2026, 9, 1, 22, tzinfo=UTC)
    assert questions_left(line=subject, at=swede.now, customer_place="SE") == ()


def test_line_asks_its_operator_about_the_sale_to_each_place_too(swede: Register) -> None:
    subject = replace(path(swede, "SE", "SE", "SE"), sell_places=("SE", "DE"))
    left = questions_left(line=subject, at=swede.now)
    assert [(question.role, question.place) for question in left] == [
        ("operate", "SE"),
        ("enter", "SE"),
        ("exit", "SE"),
        ("cross", "DE"),
        ("cross", "SE"),
        ("sell", "DE"),
        ("sell", "SE"),
    ]
    conclude(swede, left)
    assert questions_left(line=subject, at=swede.now) == ()
    assert judge(line=subject, at=swede.now, customer_place="DE").allowed


def test_same_form_is_refused_for_china_with_the_notice_and_nothing_is_written(
    register: Register,
) -> None:
    seller = actions.create_party(name="Seller", place="CN", now=register.now, actor=register.owner)
    questions = tuple(Question(role, "CN") for role in ("operate", "cross", "sell"))
    with pytest.raises(actions.QuestionAnswered) as refusal:
        conclude(replace(register, party=seller), questions)
    assert "二(二)4" in str(refusal.value)
    assert "工信部信管函〔2017〕32号" in str(refusal.value)
    assert Determination.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": "  we think so  "}, "Say in your own words"),
        ({"source_clause": " "}, "Name the clause"),
        ({"author_name": ""}, "Name the person"),
        ({"author_name": "ferry ab"}, "Name the person"),
        ({"statement": False}, "The statement is missing"),
        ({"source_read_on": date(2026, 3, 2)}, "lies in the future"),
        ({"review_by": date(2026, 9, 2)}, "within six months"),
        ({"review_by": date(2026, 3, 1)}, "within six months"),
        ({"answer": "unknown"}, "Say whether"),
        ({"answer": "required"}, "Name the approvals"),
        ({"kinds": ("XD-PUBLIC-VPN",)}, "Name the approvals"),
        ({"answer": "required", "kinds": ("SE-TEA",)}, "No rule pack knows"),
    ],
)
def test_conclusion_that_is_not_reasoned_is_refused(
    swede: Register, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(actions.NotReasoned, match=message):
        conclude(swede, (Question("sell", "SE"),), replace(WORDS, **change))
    assert Determination.objects.count() == 0


def test_database_refuses_a_conclusion_without_its_statement(swede: Register) -> None:
    (row,) = conclude(swede, (Question("sell", "SE"),))
    with pytest.raises(IntegrityError), transaction.atomic():
        Determination.objects.filter(pk=row.pk).update(statement=False)


def test_new_conclusion_ends_the_former_on_the_same_question(swede: Register) -> None:
    first = conclude(swede, (Question("sell", "SE"), Question("exit", "SE")))
    later = swede.now + timedelta(days=1)
    conclude(swede, (Question("sell", "SE"),), now=later)
    ended = dict(Determination.objects.values_list("code", "ended_at"))
    assert [ended[row.code] for row in first] == [later, None]


def test_conclusion_taken_back_answers_nothing(swede: Register) -> None:
    subject = path(swede, "SE", "SE", "SE")
    rows = conclude(swede, questions_left(line=subject, at=swede.now, customer_place="SE"))
    actions.end_determination(determination=rows[0], now=swede.now, actor=swede.owner)
    verdict = judge(line=subject, at=swede.now, customer_place="SE")
    assert [(reason.role, reason.slug) for reason in verdict.reasons] == [("operate", "unknown")]
    with pytest.raises(StaleState):
        actions.end_determination(determination=rows[0], now=swede.now, actor=swede.owner)


def test_conclusion_of_one_party_does_not_serve_another(swede: Register) -> None:
    subject = path(swede, "SE", "SE", "SE")
    conclude(swede, questions_left(line=subject, at=swede.now, customer_place="SE"))
    other = actions.create_party(name="Other AB", place="SE", now=swede.now, actor=swede.owner)
    assert not judge(
        line=path(replace(swede, party=other), "SE", "SE", "SE"), at=swede.now, customer_place="SE"
    ).allowed


def test_conclusion_is_audited_with_its_author(swede: Register) -> None:
    rows = conclude(swede, (Question("sell", "SE"),))
    entry = AuditEntry.objects.get(action="determination.recorded")
    assert entry.subject == swede.party.code
    assert entry.details == {
        "answer": "not_required",
        "author": "Astrid Lund",
        "determinations": [row.code for row in rows],
    }
