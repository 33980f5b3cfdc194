"""Sentences for people out of the register's reasons, in every language of the site.

The texts are data (`texts.toml`), keyed by slug, because they are also signed into permits and
shown by gateways, where no translation of the site's pages is at hand.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.approvals.facts import Reason, Verdict
    from ferriage.approvals.needs import Need
    from ferriage.approvals.packs import Packs

LANGUAGES: Final = ("en", "zh-hans")
_TEXTS: Final = Path(__file__).with_name("texts.toml")


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads(_TEXTS.read_text(encoding="utf-8"))


def sentence(reason: Reason, language: str, packs: Packs) -> str:
    """Return one reason as a sentence with its clause and source; English if not translated."""
    spoken = language if language in LANGUAGES else "en"
    frame = _texts()["frame"][spoken]
    plain = _filled(reason, spoken, packs)
    if reason.place:
        plain = frame["reason"].format(role=_role(reason, spoken, packs), sentence=plain)
    citation = frame["comma"].join(part for part in (reason.clause, reason.source) if part)
    cited: str = frame["cited"].format(reason=plain, citation=citation)
    return cited if citation else plain


def sentences(verdict: Verdict, packs: Packs) -> dict[str, str]:
    """Return the reasons of a denial by language, as a permit carries them."""
    return {
        language: "\n".join(sentence(reason, language, packs) for reason in verdict.reasons)
        for language in LANGUAGES
    }


def explain(verdict: Verdict, language: str, packs: Packs, *, asked: Iterable[Need] = ()) -> str:
    """Return a verdict as a tree: the outcome, then each question and what was found.

    Lines that stand in the way begin with ✗, the others with ✓.

    Args:
        asked: What the law asks on each question; then a line under it says so.
    """
    spoken = language if language in LANGUAGES else "en"
    frame = _texts()["frame"][spoken]
    until = f"{verdict.valid_until:%Y-%m-%dT%H:%M:%SZ}"
    head = frame["allowed"].format(until=until) if verdict.allowed else frame["denied"]
    marked = [("✗", reason) for reason in verdict.reasons]
    marked += [("✓", reason) for reason in verdict.grounds]
    needs = {(need.question.role, need.question.place): need for need in asked}
    lines = [head]
    for number, (mark, reason) in enumerate(marked, start=1):
        branch, stem = ("├─", "│ ") if number < len(marked) else ("└─", "  ")
        lines.append(f"{branch} {mark} {sentence(reason, spoken, packs)}")
        need = needs.get((reason.role, reason.place))
        if need:
            lines.append(f"{stem}     {asked_for(need, spoken, packs)}")
    return "\n".join(lines)


def asked_for(need: Need, language: str, packs: Packs) -> str:
    """Return what the law asks on one question, as a clause without a full stop."""
    spoken = language if language in LANGUAGES else "en"
    texts = _texts()["asked"][spoken]
    kinds = " / ".join(kind_name(found.kind.code, spoken, packs) for found in need.kinds)
    text: str = texts[need.answer].format(kind=kinds)
    if need.answer != "unknown":
        return text
    sources = "; ".join(source.title for source in need.sources)
    rest: str = texts["read"].format(sources=sources) if sources else texts["nothing-to-read"]
    return text + rest


def place_name(place: str, language: str, packs: Packs) -> str:
    """Return a jurisdiction's name with its code, or the code alone where no pack names it."""
    pack = packs.get(place)
    if pack is None:
        return place
    return f"{pack.names.get(language, pack.names['en'])} [{place}]"


def kind_name(code: str, language: str, packs: Packs) -> str:
    """Return a kind's name with its code, or the code alone where no pack lists it."""
    kind = packs.kinds.get(code)
    if kind is None:
        return code
    return f"{kind.names.get(language, kind.names['en'])} [{code}]"


def duty_name(code: str, language: str, packs: Packs) -> str:
    """Return a duty's name with its code, or the code alone where no pack lists it."""
    duty = packs.obligations.get(code)
    if duty is None:
        return code
    return f"{duty.names.get(language, duty.names['en'])} [{code}]"


def authority_name(kind_code: str, language: str, packs: Packs) -> str:
    """Return who gives a kind, in its own script, with the reader's name of it where there is one.

    Empty for a kind that no pack lists.
    """
    kind = packs.kinds.get(kind_code)
    if kind is None:
        return ""
    authority = packs.by_place[packs.kind_places[kind_code]].authorities[kind.authority]
    translated = authority.names.get(language, "")
    return f"{authority.name} ({translated})" if translated else authority.name


def _role(reason: Reason, language: str, packs: Packs) -> str:
    text: str = _texts()["roles"][language][reason.role]
    return text.format(place=place_name(reason.place, language, packs))


def _filled(reason: Reason, language: str, packs: Packs) -> str:
    params = dict(reason.params)
    if "kind" in params:
        codes = params["kind"].split(", ")
        params["kind"] = " / ".join(kind_name(code, language, packs) for code in codes)
    if "duty" in params:
        params["duty"] = duty_name(params["duty"], language, packs)
    text: str = _texts()["reasons"][language][reason.slug]
    return text.format(**params)
