from __future__ import annotations

import ast
import inspect
import re
import string
from typing import Any, get_args

import pytest
from register_cases import AT, BUILTIN, DEMO, DEMO_LINE, approval, facts, line, office_line

from ferriage.approvals import evaluate as module
from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.facts import ROLES, Answer, ApprovalState, Reason
from ferriage.approvals.needs import needs
from ferriage.approvals.reasons import (
    LANGUAGES,
    _texts,
    asked_for,
    explain,
    sentence,
    sentences,
)

SEED = evaluate(facts(line("CN", "US", "CN"), "CN"), BUILTIN, AT)


def slugs() -> set[str]:
    """Every slug that evaluate.py writes out or builds from a state or an answer."""
    tree = ast.parse(inspect.getsource(module))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    written = {text for text in texts if re.fullmatch(r"[a-z]+(-[a-z]+)+", str(text))}
    states = {f"approval-{state}" for state in get_args(ApprovalState) if state != "granted"}
    answers = {"not-required", "not-obtainable", "unknown"}
    return written | states | answers | {"determined-not-required", "determined-not-obtainable"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slug_has_a_sentence(language: str) -> None:
    assert set(_texts()["reasons"][language]) == slugs()
    assert set(_texts()["roles"][language]) == set(ROLES)


def test_languages_have_the_same_sentences_with_the_same_gaps() -> None:
    def gaps(texts: dict[str, str]) -> dict[str, set[Any]]:
        return {
            slug: {field for _, field, _, _ in string.Formatter().parse(text) if field}
            for slug, text in texts.items()
        }

    for section in _texts().values():
        assert gaps(section["en"]) == gaps(section["zh-hans"])


def test_seeds_refusal_names_notice_and_item_in_english() -> None:
    reason = next(reason for reason in SEED.reasons if reason.slug == "not-obtainable")
    assert sentence(reason, "en", BUILTIN) == (
        "crossing the border of China (mainland) [CN]: No approval can be obtained for this. "
        "(二(二)4, 工业和信息化部关于清理规范互联网网络接入服务市场的通知"
        "（工信部信管函〔2017〕32号）)"
    )


def test_seeds_refusal_is_given_in_every_language() -> None:
    found = sentences(SEED, BUILTIN)
    assert set(found) == {"en", "zh-hans"}
    assert "跨越中国内地 [CN]边界：此项无法取得批准。" in found["zh-hans"]


def test_language_without_texts_falls_back_to_english() -> None:
    reason = Reason(role="sell", place="FI", slug="unknown")
    assert sentence(reason, "fi", BUILTIN) == sentence(reason, "en", BUILTIN)
    assert sentence(reason, "fi", BUILTIN).startswith("selling in FI: What the law asks")


def test_explanation_of_an_allowed_line_shows_what_it_rests_on() -> None:
    verdict = evaluate(facts(DEMO_LINE, "XD", approvals=(approval(),)), DEMO, AT)
    tree = explain(verdict, "en", DEMO).splitlines()
    licence = (
        "Licence to run a public VPN (invented) [XD-PUBLIC-VPN] is recorded and in force "
        "(approval apr_1). (section 1, Demoland Lines Act (invented))"
    )
    nothing = "Nothing is required. (section 2, Demoland Lines Act (invented))"
    assert tree == [
        "Allowed until 2027-03-01T00:00:00Z.",
        f"├─ ✓ operating from Demoland (invented) [XD]: {licence}",
        f"├─ ✓ taking in traffic in Demoland (invented) [XD]: {licence}",
        f"├─ ✓ letting traffic out in Demoland (invented) [XD]: {licence}",
        f"└─ ✓ selling in Demoland (invented) [XD]: {nothing}",
    ]


def test_explanation_of_a_denial_names_what_stands_in_the_way_first() -> None:
    tree = explain(SEED, "en", BUILTIN).splitlines()
    assert tree[0] == "Not allowed."
    assert len(tree) == 1 + len(SEED.reasons) + len(SEED.grounds)
    assert all("✗" in branch for branch in tree[1 : 1 + len(SEED.reasons)])


def test_explanation_says_under_each_question_what_is_asked() -> None:
    subject = line("CN", "NO", "CN")
    found = evaluate(facts(subject, "CN"), BUILTIN, AT)

    tree = explain(found, "en", BUILTIN, asked=needs(subject, BUILTIN, AT)).splitlines()

    notice = BUILTIN.by_place["CN"].sources["miit-2017-32"].title
    assert [text for text in tree[1:] if "asked:" in text] == [
        f"│      asked: not known, to be read: {notice}",
        f"│      asked: not known, to be read: {notice}",
        "│      asked: not known, there is no rule pack for this place",
        "│      asked: what no authority gives",
        "│      asked: not known, there is no rule pack for this place",
        f"       asked: not known, to be read: {notice}",
    ]
    assert tree[::2] == ["Not allowed.", *(text for text in tree[1:] if "asked:" in text)]


def test_what_is_asked_names_every_kind_in_the_readers_language() -> None:
    subject = office_line("CN", "US", "CN", operator="CN")
    crossing = next(
        asked
        for asked in needs(subject, BUILTIN, AT)
        if asked.question.place == "CN" and asked.kinds
    )

    assert asked_for(crossing, "en", BUILTIN) == (
        "asked: an approval, Lessee's contract for an international private line from a licensed "
        "carrier [CN-INTL-LINE-LEASE]"
    )
    assert asked_for(crossing, "zh-hans", BUILTIN).endswith(
        "租用国际专线的合同 [CN-INTL-LINE-LEASE]"
    )
    assert asked_for(crossing, "fi", BUILTIN) == asked_for(crossing, "en", BUILTIN)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_answer_has_words_for_what_is_asked(language: str) -> None:
    assert set(_texts()["asked"][language]) == {*get_args(Answer), "read", "nothing-to-read"}
