"""Invoices, credit notes and acknowledgements of withdrawal as text and as PDF.

A paper says what its frozen row says, in one of four languages, and reads nothing else. WeasyPrint
(the extra `pdf`) may fetch nothing while it draws, at most two papers are drawn at once, and a
drawn one is kept in the data directory under the digest of what it shows.

Source: docs/explanation/tax.md
"""

from __future__ import annotations

import hashlib
import os
import threading
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import OutsideError
from ferriage.core.money import Money
from ferriage.web.shared.words import size

if TYPE_CHECKING:
    from ferriage.orders.models import Document, Withdrawal

LANGUAGES: Final = {"en": "English", "zh-hans": "简体中文", "de": "Deutsch", "fa": "فارسی"}
_RIGHT_TO_LEFT: Final = frozenset({"fa"})
_PERSIAN: Final = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")
_GERMAN: Final = str.maketrans(",.", ".,")
_DATES: Final = {"de": "%d.%m.%Y", "zh-hans": "%Y年%m月%d日", "fa": "%Y/%m/%d"}
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_PATIENCE_SECONDS: Final = 10


class PaperWaits(OutsideError):
    """A PDF cannot be drawn now, or not at all on this host."""

    slug = "paper-waits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What stands on a paper, in words of its language. A fact is (label, value, is a code)."""

    title: str
    number: str
    facts: tuple[tuple[str, str, bool], ...]
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    sums: tuple[tuple[str, str], ...]
    said: str = ""
    parties: tuple[tuple[str, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def spanned(self) -> int:
        """How many columns stand before the last."""
        return len(self.headings) - 1


def spoken(language: str) -> str:
    """Return the language of documents for one of the site's or a stored one; English else."""
    return language if language in LANGUAGES else "en"


def of_document(document: Document, language: str) -> Paper:
    """Return an invoice or a credit note in a language."""
    words = _Words(language)
    content = document.content
    credit = document.kind == "credit"
    facts = [
        (words["number"], document.label, True),
        (words["issued"], words.day(document.issued_at), False),
        (words["order"], content["order"], True),
    ]
    if credit:
        facts.append((words["corrects"], content["corrects"], True))
    supply = " – ".join(words.instant(at) for at in (document.supply_from, document.supply_to))
    facts.append((words["unused" if credit else "supply"], f"{supply} (UTC)", False))
    gross = words.money(document.gross_minor, document.currency)
    return Paper(
        title=words[document.kind],
        number=document.label,
        facts=tuple(facts),
        parties=_parties(content, words),
        headings=(words["what"], words["amount"]),
        lines=tuple((words.bought(line), gross) for line in content["lines"]),
        sums=(
            (words["net"], words.money(document.net_minor, document.currency)),
            (_tax_label(document, words), words.money(document.tax_minor, document.currency)),
            (words["credited" if credit else "gross"], gross),
        ),
        notes=_notes(document, words),
    )


def of_withdrawal(withdrawal: Withdrawal, language: str) -> Paper:
    """Return the acknowledgement of a withdrawal in a language."""
    words = _Words(language)
    facts = (
        (words["declared"], f"{words.instant(withdrawal.declared_at)} (UTC)", False),
        (words["ends"], f"{words.instant(withdrawal.ends_at)} (UTC)", False),
        (words["code"], withdrawal.code, True),
        (words["shop"], f"{settings.FERRIAGE.site.name}, {settings.FERRIAGE.site.url}", False),
    )
    return Paper(
        title=words["withdrawal"],
        number=withdrawal.code,
        facts=facts,
        said=words["withdrawal_said"],
        headings=(
            words["order"],
            words["what"],
            words["ordered"],
            words["paid_amount"],
            words["owed"],
        ),
        lines=tuple(
            (
                line["order"] or words["gift"],
                words.bought(line),
                words.day(datetime.fromisoformat(line["ordered_at"])),
                *_amounts(line, words),
            )
            for line in withdrawal.lines
        ),
        sums=(),
        notes=tuple(words[note] for note in _ways_back(withdrawal)),
    )


def _ways_back(withdrawal: Withdrawal) -> list[str]:
    """Return which sentences say where the money of a withdrawal goes."""
    mine = [line for line in withdrawal.lines if line.get("owed_to", "payer") == "payer"]
    to = {line.get("owed_to", "payer") for line in withdrawal.lines}
    others = [f"owed_{one}" for one in ("giver", "reseller") if one in to]
    lines = [(line["owed_minor"], line.get("to_balance_minor", 0)) for line in mine]
    balanced = any(to_balance for _owed, to_balance in lines)
    by_payment = any(owed > to_balance for owed, to_balance in lines) or not (balanced or others)
    return ["owed_how"] * by_payment + ["owed_balance"] * balanced + others


def _amounts(line: dict[str, Any], words: _Words) -> tuple[str, str]:
    """Return what was paid and is owed; of a code that was resold the share alone."""
    if line.get("owed_to") == "reseller":
        return "–", f"{words.rate(line['unused_bps'])} %"
    return (
        words.money(line["paid_minor"], line["currency"]),
        words.money(line["owed_minor"], line["currency"]),
    )


def as_text(paper: Paper) -> str:
    """Return a paper as plain text, for a file that every program opens."""
    rows = [paper.title, ""]
    rows += [f"{label}: {value}" for label, value, _is_code in paper.facts]
    rows += ["", paper.said] if paper.said else []
    for label, lines in paper.parties:
        rows += ["", f"{label}:", *lines]
    for line in paper.lines:
        rows += ["", *(f"{head}: {cell}" for head, cell in zip(paper.headings, line, strict=True))]
    rows += ["", *(f"{label}: {value}" for label, value in paper.sums)] if paper.sums else []
    return "\n".join([*rows, "", *paper.notes, ""])


def as_pdf(paper: Paper, language: str) -> bytes:
    """Return a paper as PDF, drawn now or before.

    Raises:
        PaperWaits: WeasyPrint is not installed, or two others are being drawn.
    """
    context = {
        "paper": paper,
        "language": language,
        "direction": "rtl" if language in _RIGHT_TO_LEFT else "ltr",
    }
    html = render_to_string("shared/paper.html", context)
    kept = _kept_as(paper, html + _css())
    if kept.exists():
        return kept.read_bytes()
    if not _AT_ONCE.acquire(timeout=_PATIENCE_SECONDS):
        raise PaperWaits(_("Other documents are being drawn."), _("Try again in a moment."))
    try:
        drawn = _draw(html)
    finally:
        _AT_ONCE.release()
    _keep(kept, drawn)
    return drawn


class _Words:
    """The texts of one language, and how it writes numbers and days."""

    def __init__(self, language: str) -> None:
        self._language = language

    def __getitem__(self, key: str) -> str:
        return _texts()[key][self._language]

    def number(self, text: str) -> str:
        """Return a number as the language writes it; groups have commas, decimals a point."""
        tables = {"de": _GERMAN, "fa": _PERSIAN}
        return text.translate(tables.get(self._language, {}))

    def apart(self, text: str) -> str:
        """Return text that keeps its own direction among words that run from right to left."""
        return f"\u2068{text}\u2069" if self._language in _RIGHT_TO_LEFT and text else text

    def money(self, minor: int, currency: str) -> str:
        whole, point, decimals = Money(minor, currency).decimal().partition(".")
        return f"{self.number(f'{int(whole):,}{point}{decimals}')} {currency}"

    def rate(self, bps: int) -> str:
        return self.number(f"{bps / 100:.2f}".rstrip("0").rstrip("."))

    def day(self, at: datetime) -> str:
        text = at.astimezone(UTC).strftime(_DATES.get(self._language, "%Y-%m-%d"))
        return text.translate(_PERSIAN) if self._language == "fa" else text

    def instant(self, at: datetime) -> str:
        clock = at.astimezone(UTC).strftime("%H:%M")
        return f"{self.day(at)} {clock.translate(_PERSIAN) if self._language == 'fa' else clock}"

    def bought(self, line: dict[str, Any]) -> str:
        months = line["term_months"]
        named = line["service"] if line["plan"] == line["service"] else None
        name = self.apart(named or f"{line['service']} · {line['plan']}")
        comma = "،" if self._language == "fa" else ","
        if quota := line.get("quota_bytes"):
            return f"{name}{comma} {self['pack'] % self.apart(self.number(size(quota)))}"
        if line["kind"] == "addon":
            return f"{name}{comma} {self['addon']}"
        term = self["term_one"] if months == 1 else self["term"] % self.number(str(months))
        return f"{name}{comma} {term}"


def _parties(content: dict[str, Any], words: _Words) -> tuple[tuple[str, tuple[str, ...]], ...]:
    seller, buyer = content["seller"], content["buyer"]
    numbers = [
        f"{words[key]}: {words.apart(seller[key])}"
        for key in ("tax_id", "register_number")
        if seller[key]
    ]
    named = [buyer["name"], *buyer["address"].splitlines(), buyer["vat_id"]] if buyer else []
    seen = [words.apart(line) for line in named if line]
    sells = [words.apart(line) for line in (seller["name"], *seller["address"].splitlines())]
    return (
        (words["seller"], (*sells, *numbers)),
        (words["customer"], tuple(seen) or (words["nameless"],)),
    )


def _tax_label(document: Document, words: _Words) -> str:
    if document.tax_state != "taxed":
        return words["no_tax"]
    return words["tax"] % {
        "rate": words.rate(document.tax_rate),
        "place": words.apart(document.tax_place),
    }


def _notes(document: Document, words: _Words) -> tuple[str, ...]:
    said = [document.content["sentence"]]
    if document.tax_state in {"reverse", "outside"}:
        said.append(words[document.tax_state])
    if document.kind == "invoice":
        said.append(words["paid"])
    if note := {"giver": "given", "reseller": "resold"}.get(document.content.get("owed_to", "")):
        said.append(words[note])
    return tuple(filter(None, said))


def _draw(html: str) -> bytes:
    try:
        from weasyprint import CSS, HTML
    except (ImportError, OSError) as error:  # the library, or Pango that it loads
        raise PaperWaits(
            _("This shop cannot draw a PDF."),
            _("Take the text; whoever runs it installs the rest."),
        ) from error
    sheet = CSS(string=_css(), url_fetcher=_fetch_nothing)
    drawn: bytes = HTML(string=html, url_fetcher=_fetch_nothing).write_pdf(stylesheets=[sheet])
    return drawn


def _fetch_nothing(url: str, *_args: Any, **_options: Any) -> NoReturn:
    raise ValueError(f"a paper fetches nothing, not {url[:60]}")


def _kept_as(paper: Paper, shown: str) -> Path:
    digest = hashlib.sha256(shown.encode()).hexdigest()[:24]
    return Path(settings.FERRIAGE.data_dir) / "papers" / f"{paper.number}-{digest}.pdf"


def _keep(path: Path, drawn: bytes) -> None:
    """Keep a drawn paper, whole or not at all, for the shop's user alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(drawn)
    half.replace(path)


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(_file("papers.toml"))


@cache
def _css() -> str:
    return _file("paper/paper.css")


def _file(name: str) -> str:
    return resources.files("ferriage.web.shared").joinpath(name).read_text("utf-8")
