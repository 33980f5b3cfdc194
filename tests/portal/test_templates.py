"""What holds for every template and every sentence, whatever page it is on."""

from __future__ import annotations

import gettext
import re
import subprocess
from pathlib import Path

import pytest

import ferriage

PACKAGE = Path(ferriage.__file__).parent
TEMPLATES = sorted((PACKAGE / "web").rglob("*.html"))
CATALOGUE = PACKAGE / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
FORBIDDEN = {
    "a style attribute": re.compile(r"\sstyle\s*="),
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)"),
    "an inline style sheet": re.compile(r"<style\b"),
    "a handler attribute": re.compile(r"\son[a-z]+\s*="),
    "another host": re.compile(r'(?:src|href|action)="(?:https?:)?//'),
}


def _short(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", TEMPLATES, ids=_short)
def test_template_keeps_to_the_content_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(text)] == []


CAPABILITIES = {PACKAGE / "web/backoffice/templates/backoffice/outside.html"}
"""Forms whose address is a secret that nobody else can know; they work without a cookie."""


@pytest.mark.parametrize("path", sorted({*TEMPLATES} - CAPABILITIES), ids=_short)
def test_template_guards_every_form(path: Path) -> None:
    forms = re.findall(
        r'<form[^>]*method="post"[^>]*>(.*?)</form>', path.read_text(encoding="utf-8"), re.DOTALL
    )

    assert [form for form in forms if "{% csrf_token %}" not in form] == []


def _untranslated(text: str) -> list[str]:
    entries = re.findall(
        r'^msgid "(.+)"\n(?:msgid_plural .*\n)?msgstr(?:\[0\])? ""$', text, re.MULTILINE
    )
    return [entry for entry in entries if entry]


def test_every_sentence_is_translated() -> None:
    text = CATALOGUE.read_text(encoding="utf-8")

    assert _untranslated(text) == []
    assert "#, fuzzy" not in text


def test_every_sentence_of_the_code_is_in_the_catalogue() -> None:
    """A sentence that was added without its translation is named here."""
    sources = [str(path) for path in PACKAGE.rglob("*.py")]
    keywords = ["--keyword=_", "--keyword=gettext", "--keyword=gettext_lazy"]
    options = ["--language=Python", "--from-code=UTF-8", "--no-wrap", "--output=-"]
    done = subprocess.run(
        ["xgettext", *options, *keywords, *sources],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert _sentences(done.stdout) - _sentences(CATALOGUE.read_text(encoding="utf-8")) == set()


def test_every_sentence_of_the_templates_is_in_the_catalogue() -> None:
    tag = re.compile(r"""{% translate (?:"([^"]+)"|'([^']+)')""")
    found = {
        one or other
        for path in TEMPLATES
        for one, other in tag.findall(path.read_text(encoding="utf-8"))
    }

    assert found - _sentences(CATALOGUE.read_text(encoding="utf-8")) == set()


def _sentences(catalogue: str) -> set[str]:
    return set(re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE))


def test_compiled_catalogue_says_what_its_source_says() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    rows = re.findall(
        r'^(?:msgctxt "(.+)"\n)?msgid "(.+)"\nmsgstr "(.+)"$',
        CATALOGUE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    plain = [row for row in rows if "\\" not in "".join(row)]
    assert len(plain) > 500
    assert [
        source
        for context, source, said in plain
        if (compiled.pgettext(context, source) if context else compiled.gettext(source)) != said
    ] == []
