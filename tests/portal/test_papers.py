"""Documents as files: what each language says, and that the PDF says it."""

from __future__ import annotations

import io
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

import pypdf
import pytest
from django.conf import settings

from ferriage.core.actors import CUSTOMER
from ferriage.orders.actions import refunds, taxes
from ferriage.orders.models import Document
from ferriage.orders.refunds import Rules
from ferriage.web.shared import papers
from taxed import charge, set_up

if TYPE_CHECKING:
    from ferriage.orders.models import Withdrawal
    from till import Till

DAY = timedelta(days=1)
SAYS = {
    "en": ("Invoice", "VAT 19 % (XD)", "100.84 CNY", "2026-03-01", "24 months"),
    "zh-hans": ("发票", "增值税 19 %(XD)", "100.84 CNY", "2026年03月01日", "24 个月"),
    "de": ("Rechnung", "USt. 19 % (XD)", "100,84 CNY", "01.03.2026", "24 Monate"),
    "fa": ("صورت‌حساب", "۱۹", "۱۰۰٫۸۴", "۲۰۲۶/۰۳/۰۱", "۲۴ ماه"),
}


def text_of(pdf: bytes) -> str:
    """Return what a reader finds in a PDF, wide signs as narrow ones."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return unicodedata.normalize("NFKC", "\n".join(page.extract_text() for page in pages))


@pytest.fixture
def invoice(till: Till) -> Document:
    charge(till.now)
    till.sell(24)
    return Document.objects.get()


@pytest.fixture
def withdrawal(till: Till) -> Withdrawal:
    order = till.sell()
    assert order.subscription is not None
    return refunds.withdraw(
        subscription=order.subscription, rules=Rules(), now=till.now + DAY, actor=CUSTOMER
    )


@pytest.mark.parametrize("language", papers.LANGUAGES)
def test_every_text_is_there_in_every_language(language: str) -> None:
    assert [key for key, said in papers._texts().items() if not said.get(language)] == []


@pytest.mark.parametrize("language", papers.LANGUAGES)
def test_invoice_says_the_same_in_every_language(invoice: Document, language: str) -> None:
    text = unicodedata.normalize("NFKC", papers.as_text(papers.of_document(invoice, language)))

    for said in (*SAYS[language], "INV-2026-00001", "Demo Lines Ltd", "XD123456789"):
        assert unicodedata.normalize("NFKC", said) in text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Demo · Month, one more device"),
        ("zh-hans", "增加一台设备"),
        ("de", "ein weiteres Gerät"),
        ("fa", "یک دستگاه دیگر"),
    ],
)
def test_invoice_of_an_addition_says_what_was_added(
    invoice: Document, language: str, said: str
) -> None:
    (line,) = invoice.content["lines"]
    line |= {"service": "Demo", "plan": "Month", "term_months": 0, "kind": "addon"}

    text = papers.as_text(papers.of_document(invoice, language))

    assert unicodedata.normalize("NFKC", said) in unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Demo · Month, 20 GB more data for a month"),
        ("zh-hans", "本月追加 20 GB 流量"),
        ("de", "20 GB mehr Datenvolumen für einen Monat"),
        ("fa", "حجم بیشتر برای یک ماه"),
    ],
)
def test_invoice_of_a_quota_pack_says_how_much(invoice: Document, language: str, said: str) -> None:
    (line,) = invoice.content["lines"]
    line |= {"service": "Demo", "plan": "Month", "term_months": 0, "kind": "addon"}
    line |= {"quota_bytes": 20 * 10**9}

    text = papers.as_text(papers.of_document(invoice, language))

    assert unicodedata.normalize("NFKC", said) in unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize("language", ["en", "zh-hans", "de"])
def test_pdf_says_what_the_text_says(invoice: Document, language: str) -> None:
    pdf = papers.as_pdf(papers.of_document(invoice, language), language)

    text = text_of(pdf)
    for said in (*SAYS[language], "INV-2026-00001", "Demo Lines Ltd"):
        assert unicodedata.normalize("NFKC", said) in text


def test_persian_pdf_has_its_letters_and_digits(invoice: Document) -> None:
    """Its lines come out of a reader in the order they are drawn, so words are looked for alone."""
    text = text_of(papers.as_pdf(papers.of_document(invoice, "fa"), "fa"))

    for said in ("۱۰۰٫۸۴", "INV-2026-00001", "Demo Lines Ltd", "XD"):
        assert said in text or said[::-1] in text
    assert "\ufffd" not in text


def test_pdf_is_drawn_once_and_kept_for_the_shop_alone(invoice: Document) -> None:
    paper = papers.of_document(invoice, "en")
    first = papers.as_pdf(paper, "en")
    kept = [
        path for path in (settings.FERRIAGE.data_dir / "papers").iterdir() if "INV" in path.name
    ]

    assert papers.as_pdf(paper, "en") == first
    assert {oct(path.stat().st_mode & 0o777) for path in kept} == {"0o600"}


def test_what_a_customer_typed_draws_no_picture_and_opens_no_tag(till: Till) -> None:
    charge(till.now)
    order = till.order()
    taxes.name_buyer(
        order=order,
        name="<img src='file:///etc/passwd'>",
        address="<b>Street</b>",
        vat_id="",
        now=till.now,
        actor=CUSTOMER,
    )
    till.receive(till.transfer(order).reference, 1000)

    text = text_of(papers.as_pdf(papers.of_document(Document.objects.get(), "en"), "en"))

    assert "<img src='file:///etc/passwd'>" in text
    assert "<b>Street</b>" in text


def test_small_business_prints_its_sentence(till: Till) -> None:
    set_up(till.now, regime="small", exempt_sentence="No VAT under section 19.")
    till.sell()

    paper = papers.of_document(Document.objects.get(), "de")

    assert "No VAT under section 19." in papers.as_text(paper)


@pytest.mark.parametrize("language", papers.LANGUAGES)
def test_acknowledgement_says_when_what_and_how_much(withdrawal: Withdrawal, language: str) -> None:
    paper = papers.of_withdrawal(withdrawal, language)
    text = papers.as_text(paper)

    owed = {"de": "10,00 CNY", "fa": "۱۰٫۰۰ CNY"}.get(language, "10.00 CNY")
    for said in (withdrawal.code, withdrawal.lines[0]["order"], owed):
        assert said in text
    assert papers.as_pdf(paper, language).startswith(b"%PDF")
