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
from ferriage.approvals.store import read_evidence
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from tampering import tampering

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
        "grade": "own",
        "author": "Astrid Lund",
        "determinations": [row.code for row in rows],
    }


# --- a lawyer's opinion -----------------------------------------------------------------------

OPINION = actions.EvidenceFile(
    data=b"%PDF-1.7 opinion", title="Opinion", media_type="application/pdf"
)
SALE = (Question("sell", "SE"), Question("exit", "SE"))


def opine(
    register: Register, conclusion: actions.Conclusion = WORDS, **more: Any
) -> list[Determination]:
    values: dict[str, Any] = {
        "asked": actions.Asked(questions=SALE, customer_class="public", use="resale"),
        "opinion": OPINION,
        **more,
    }
    return actions.record_opinion(
        party=register.party,
        conclusion=conclusion,
        store_dir=register.store,
        packs=register.law,
        now=register.now,
        actor=register.owner,
        **values,
    )


def test_opinion_is_kept_sealed_once_and_named_by_each_question(swede: Register) -> None:
    rows = opine(swede)
    assert [row.grade for row in rows] == ["counsel", "counsel"]
    for row in rows:
        assert read_evidence(row.evidence.get(), store_dir=swede.store) == OPINION.data
    (stored,) = swede.store.iterdir()
    assert OPINION.data not in stored.read_bytes()


def test_opinion_lasts_twelve_months_from_its_day(swede: Register) -> None:
    subject = path(swede, "SE", "SE", "SE")
    asked = actions.Asked(
        questions=questions_left(line=subject, at=swede.now, customer_place="SE"),
        customer_class="public",
        use="resale",
    )
    rows = opine(swede, asked=asked)
    assert {row.review_by for row in rows} == {date(2027, 2, 27)}
    verdict = judge(line=subject, at=swede.now, customer_place="SE")
    assert verdict.valid_until == datetime(2027, 2, 27, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_read_on": date(2025, 3, 1)}, "twelve months"),
        ({"review_by": date(2027, 2, 28)}, "twelve months"),
        ({"source_read_on": date(2026, 3, 2)}, "lies in the future"),
        ({"author_name": "Ferry AB"}, "Name the person"),
        ({"statement": False}, "The statement is missing"),
    ],
)
def test_opinion_that_is_not_whole_is_refused(
    swede: Register, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(actions.NotReasoned, match=message):
        opine(swede, replace(WORDS, **change))
    assert Determination.objects.count() == 0


def test_opinion_without_its_file_is_refused_whole(swede: Register) -> None:
    with pytest.raises(actions.EvidenceRefused):
        opine(swede, opinion=replace(OPINION, data=b""))
    assert Determination.objects.count() == 0


def test_opinion_answers_nothing_that_a_pack_answers(register: Register) -> None:
    seller = actions.create_party(name="Seller", place="CN", now=register.now, actor=register.owner)
    asked = actions.Asked(
        questions=(Question("cross", "CN"),), customer_class="public", use="resale"
    )
    with pytest.raises(actions.QuestionAnswered):
        opine(replace(register, party=seller), asked=asked)
    assert not register.store.exists()


def test_row_that_only_says_counsel_lasts_as_ones_own(swede: Register) -> None:
    subject = path(swede, "SE", "SE", "SE")
    conclude(swede, questions_left(line=subject, at=swede.now, customer_place="SE"))
    with tampering():
        Determination.objects.update(grade="counsel", review_by=date(2027, 2, 27))
    verdict = judge(line=subject, at=swede.now, customer_place="SE")
    assert verdict.valid_until == datetime(2026, 9, 1, 22, tzinfo=UTC)
