"""Reading camt.053, the statement of ISO 20022, in every version that banks hand out.

The versions differ in where they put a name or wrap an element, not in what a statement says; the
elements are therefore found by their local names, along the paths of all versions. A file that
declares a document type or an entity is refused unread: no bank sends one.

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.utils.translation import gettext_lazy as _

from ferriage.core.money import Money, is_currency
from ferriage.payments.providers.bank.statement import (
    LARGEST_BYTES,
    MOST_LINES,
    MOST_MINOR,
    Balance,
    Line,
    Statement,
    StatementUnreadable,
    bank_reference,
    one_line,
    with_keys,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_NAMESPACE: Final = re.compile(r"\{[^}]*?(camt\.0\d\d\.001\.\d\d)\}Document")
_OTHERS: Final = {
    "camt.052": _("This is an interim report (camt.052), whose entries may still change."),
    "camt.054": _("This is a notification (camt.054), which has no balances."),
}
_FEE_FAMILIES: Final = frozenset({"CHRG", "FEES", "COMM", "COME", "COMT"})
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)


def is_camt(data: bytes) -> bool:
    """Tell by its beginning whether a file is XML, to be read as camt.053."""
    head = data[:400]
    for encoding in ("utf-8-sig", "utf-16"):
        if head.decode(encoding, errors="ignore").lstrip().startswith("<"):
            return True
    return False


def read(data: bytes) -> list[Statement]:
    """Return the statements of a file, in its order, lines with their keys.

    Raises:
        StatementUnreadable: Not XML, not camt.053, too large, or an entry without what it needs.
    """
    if len(data) > LARGEST_BYTES:
        raise StatementUnreadable(_("The file is larger than 10 MiB."))
    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise StatementUnreadable(
            _("The file declares a document type or an entity, which no statement does."),
            _("Do not use it. Fetch the statement from your bank again."),
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise StatementUnreadable(
            _("The file is not whole XML: %s.") % error, _("Fetch it from your bank again.")
        ) from error
    version = _version(root)
    found = [_statement(element, version) for element in _all(root, "BkToCstmrStmt", "Stmt")]
    if not found:
        raise StatementUnreadable(_("There is no statement in this file."))
    if sum(len(statement.lines) for statement in found) > MOST_LINES:
        raise StatementUnreadable(
            _("The file has more than %d lines.") % MOST_LINES, _("Fetch fewer days at once.")
        )
    return found


def _version(root: Element) -> str:
    match = _NAMESPACE.fullmatch(root.tag)
    message = match[1] if match else ""
    if message.startswith("camt.053"):
        return message
    what = _OTHERS.get(message[:8])
    if what:
        raise StatementUnreadable(
            what, _("Ask your bank's pages for the statement, camt.053, of the same days.")
        )
    raise StatementUnreadable(
        _("This is XML, but no camt.053 statement."),
        _("Choose camt.053 (sometimes called “ISO 20022 statement”) at your bank, or CSV."),
    )


def _statement(element: Element, version: str) -> Statement:
    account = _text(element, "Acct", "Id", "IBAN") or _text(element, "Acct", "Id", "Othr", "Id")
    balances = dict(_balances(element))
    currencies = {currency for currency, _balance in balances.values()}
    entries = _all(element, "Ntry")
    booked = [entry for entry in entries if _status(entry) == "BOOK"]
    lines = with_keys(line for entry in booked for line in _lines(entry))
    currencies |= {line.currency for line in lines}
    currency = _text(element, "Acct", "Ccy") or next(iter(sorted(currencies)), "")
    if currencies - {currency} or not is_currency(currency):
        raise StatementUnreadable(
            _("The statement of account %s names no currency, or several.") % (account or "–")
        )
    return Statement(
        format=version,
        account="".join(account.split()).upper(),
        currency=currency,
        lines=lines,
        number=_text(element, "Id")[:100],
        opening=_first(balances, _OPENING),
        closing=_first(balances, _CLOSING),
        passed_over=len(entries) - len(booked),
    )


def _balances(element: Element) -> Iterator[tuple[str, tuple[str, Balance]]]:
    """Yield the balances by their kind; of several of a kind the last counts, as it is the whole.

    Interim balances (ITBD) and available ones are no part of it.
    """
    for found in _all(element, "Bal"):
        kind = _text(found, "Tp", "CdOrPrtry", "Cd")
        if kind in {*_OPENING, *_CLOSING}:
            minor, currency = _amount(found)
            yield kind, (currency, Balance(on=_day(found, "Dt"), amount_minor=minor))


def _first(balances: dict[str, tuple[str, Balance]], kinds: tuple[str, ...]) -> Balance | None:
    return next((balances[kind][1] for kind in kinds if kind in balances), None)


def _status(entry: Element) -> str:
    """Return `BOOK` or another status: bare text up to version 04, an element of its own after."""
    return _text(entry, "Sts", "Cd") or _text(entry, "Sts")


def _lines(entry: Element) -> Iterator[Line]:
    """Yield what an entry is made of: itself, or its details where they add up to it.

    A collective entry has one amount and many details. Details without amounts of their own, or in
    another currency, say nothing that could be booked, so the entry stands for them.
    """
    minor, currency = _amount(entry)
    details = _all(entry, "NtryDtls", "TxDtls")
    if len(details) > 1:
        amounts = [_own_amount(detail, minor, currency) for detail in details]
        if None not in amounts and sum(amount or 0 for amount in amounts) == minor:
            for number, (detail, amount) in enumerate(zip(details, amounts, strict=True), start=1):
                yield _line(entry, [detail], amount or 0, currency, f"/{number}")
            return
    yield _line(entry, details, minor, currency)


def _line(
    entry: Element, details: list[Element], minor: int, currency: str, part: str = ""
) -> Line:
    own = bank_reference(*(_text(detail, "Refs", "AcctSvcrRef") for detail in details))
    whole = bank_reference(_text(entry, "AcctSvcrRef"))
    reference = own or (whole + part if whole else "")
    return Line(
        booked_on=_booked_on(entry),
        amount_minor=minor,
        currency=currency,
        reference=reference[:100],
        text=one_line(
            *(text for detail in details for text in _said(detail)),
            _text(entry, "AddtlNtryInf"),
        ),
        payer_place=_payer_place(details) if minor > 0 else "",
        is_fee=minor < 0 and _is_fee(entry, details),
        is_return=_text(entry, "RvslInd") in {"true", "1"}
        or any(_all(detail, "RtrInf") for detail in details),
    )


def _said(detail: Element) -> Iterator[str]:
    """Yield what the payer wrote: free text, structured references, the end-to-end reference."""
    # Banks wrap long text into several elements, also in the middle of a word; whoever looks for
    # a reference looks past the spaces.
    yield from (element.text or "" for element in _all(detail, "RmtInf", "Ustrd"))
    for element in _all(detail, "RmtInf", "Strd"):
        yield _text(element, "CdtrRefInf", "Ref")
        yield from (found.text or "" for found in _all(element, "AddtlRmtInf"))
    yield bank_reference(_text(detail, "Refs", "EndToEndId"))
    yield _text(detail, "AddtlTxInf")


def _payer_place(details: list[Element]) -> str:
    """Return the country of the payer's bank: from its BIC, else from the account's IBAN."""
    if len(details) != 1:
        return ""
    detail = details[0]
    bank = _all(detail, "RltdAgts", "DbtrAgt", "FinInstnId")
    for element in bank:
        bic = _text(element, "BICFI") or _text(element, "BIC")
        if re.fullmatch(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", bic):
            return bic[4:6]
    iban = "".join(_text(detail, "RltdPties", "DbtrAcct", "Id", "IBAN").split()).upper()
    return iban[:2] if re.fullmatch(r"[A-Z]{2}\d\d[A-Z0-9]{10,30}", iban) else ""


def _is_fee(entry: Element, details: list[Element]) -> bool:
    codes = [_text(entry, "BkTxCd", "Domn", "Fmly", "SubFmlyCd")]
    codes += [_text(detail, "BkTxCd", "Domn", "Fmly", "SubFmlyCd") for detail in details]
    return any(code in _FEE_FAMILIES for code in codes)


def _own_amount(detail: Element, entry_minor: int, currency: str) -> int | None:
    """Return a detail's amount with its entry's sign, from where any version puts it."""
    for path in (("Amt",), ("AmtDtls", "TxAmt", "Amt")):
        for element in _all(detail, *path):
            if element.get("Ccy") != currency:
                return None
            minor = _minor(element)
            own = _text(detail, "CdtDbtInd")
            sign = 1 if (own == "CRDT" if own else entry_minor > 0) else -1
            return sign * minor
    return None


def _amount(element: Element) -> tuple[int, str]:
    """Return signed minor units and currency of an entry or a balance."""
    amounts = _all(element, "Amt")
    side = _text(element, "CdtDbtInd")
    if len(amounts) != 1 or side not in {"CRDT", "DBIT"}:
        raise StatementUnreadable(_("An entry of the statement has no amount or no direction."))
    minor = _minor(amounts[0])
    return (minor if side == "CRDT" else -minor), amounts[0].get("Ccy", "")


def _minor(element: Element) -> int:
    currency = element.get("Ccy", "")
    text = (element.text or "").strip()
    try:
        minor = Money.parse(_shortened(text), currency).amount_minor
    except ValueError as error:
        raise StatementUnreadable(
            _("“%(amount)s %(currency)s” is no amount.")
            % {"amount": text[:40], "currency": currency[:8]}
        ) from error
    if not 0 <= minor <= MOST_MINOR:
        raise StatementUnreadable(_("“%s” is no amount of a statement.") % text[:40])
    return minor


def _shortened(text: str) -> str:
    """Return an amount without zeros behind the decimals that its currency has: 10.00000 is 10."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _booked_on(entry: Element) -> date:
    return _day(entry, "BookgDt") if _all(entry, "BookgDt") else _day(entry, "ValDt")


def _day(element: Element, *path: str) -> date:
    text = _text(element, *path, "Dt") or _text(element, *path, "DtTm")
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise StatementUnreadable(_("“%s” is no day.") % text[:40]) from error


def _all(element: Element, *path: str) -> list[Element]:
    """Return the elements along a path of local names, direct children at every step."""
    found = [element]
    for name in path:
        found = [child for parent in found for child in parent if _is(child, name)]
    return found


def _is(element: Element, name: str) -> bool:
    # Comments and processing instructions are not kept by this parser, so every tag is a text.
    return element.tag.rpartition("}")[2] == name


def _text(element: Element, *path: str) -> str:
    found = _all(element, *path)
    return (found[0].text or "").strip() if found else ""
