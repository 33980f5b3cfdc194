"""The pages about the register say what the program does."""

from __future__ import annotations

from pathlib import Path

import msgspec
from register_cases import AT, BUILTIN, facts, line

from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.packfile import Authority, Document, Due, Kind, Obligation, Row, Source
from ferriage.approvals.reasons import explain

DOCS = Path(__file__).parents[2] / "docs"


def test_page_about_packs_names_every_key_of_the_file() -> None:
    page = (DOCS / "reference" / "packs.md").read_text(encoding="utf-8")
    structs = (Document, Authority, Source, Kind, Row, Obligation, Due)
    keys = {field.name for struct in structs for field in msgspec.structs.fields(struct)}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_page_about_packs_lists_the_versions_that_ship() -> None:
    page = (DOCS / "reference" / "packs.md").read_text(encoding="utf-8")
    rows = [f"| `{place}` | {pack.version} |" for place, pack in BUILTIN.by_place.items()]
    assert [row for row in rows if row not in page] == []


def test_page_about_the_register_shows_the_refusal_as_it_is() -> None:
    page = (DOCS / "explanation" / "register.md").read_text(encoding="utf-8")
    verdict = evaluate(facts(line("CN", "US", "CN")), BUILTIN, AT)
    assert f"```text\n{explain(verdict, 'en', BUILTIN)}\n```" in page
