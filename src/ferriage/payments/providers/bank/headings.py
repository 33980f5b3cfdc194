"""The words by which banks name the columns of a CSV, in German, English and Chinese."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADINGS: Final = {
    "day": (
        "buchungstag|buchungsdatum|booking date|transaction date|date|交易日期|记账日期|交易时间"
    ),
    "amount": "betrag|umsatz|amount|交易金额|金额|发生额",
    "incoming": "haben|gutschrift|credit|paid in|收入金额|收入|贷方发生额|贷方金额|存入金额",
    "outgoing": "soll|lastschrift|debit|paid out|支出金额|支出|借方发生额|借方金额|支取金额",
    "currency": "währung|waehrung|currency|币种|货币",
    "text": (
        "verwendungszweck|zahlungszweck|zahlungsgrund|mitteilung|mitteilungen|buchungstext"
        "|buchungsdetails|text|description|transaction description|booking text|details"
        "|payment details|transaction details|purpose|payment purpose|purpose of payment"
        "|remittance|remittance information|remittance info|narrative|narration|memo|message"
        "|note|notes|particulars|reference|payment reference|payer reference"
        "|end-to-end reference|end to end id|referenz|zahlungsreferenz|end-to-end-referenz"
        "|kundenreferenz|kundenreferenz (end-to-end)"
        "|附言|摘要|备注|用途|交易附言|商品说明|留言|转账附言"
    ),
    "balance": (
        "saldo|saldo nach buchung|kontostand|balance|running balance|account balance"
        "|balance after|余额|账户余额|交易后余额"
    ),
    "reference": (
        "bankreferenz|transaktions-id|transaction id|bank reference|流水号|交易流水号|交易订单号"
    ),
}
_UNIT: Final = re.compile(r"\s*\(([a-z]{3}|€|元)\)$")
"""What banks put behind the name of a column of money."""


def columns_named(row: Sequence[str]) -> dict[str, Any]:
    """Return which column holds what, by its heading; all that look like text are text."""
    plain = [_UNIT.sub("", cell.strip("\t \"'").casefold()) for cell in row]
    found: dict[str, Any] = {}
    for name, headings in _HEADINGS.items():
        known = headings.split("|")
        columns = sorted(
            (known.index(cell), number) for number, cell in enumerate(plain) if cell in known
        )
        if name == "text":
            found[name] = tuple(sorted(number for _rank, number in columns))
        elif columns:
            found["currency_column" if name == "currency" else name] = columns[0][1]
    return found
