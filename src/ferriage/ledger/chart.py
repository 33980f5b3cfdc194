"""The chart of accounts: every name that the books know, in one place.

Source: docs/explanation/books.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

UNALLOCATED: Final = "liabilities:unallocated"
UNEARNED: Final = "liabilities:unearned"
REFUNDS: Final = "liabilities:refunds"
CREDITS: Final = "liabilities:credits"
VOUCHERS: Final = "liabilities:vouchers"
BANK: Final = "assets:bank"
PAYABLE: Final = "liabilities:payable:hosting"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the chart; `<…>` stands for a part that the shop chooses.

    Args:
        never_negative: Holding less than nothing means that something went wrong.
    """

    name: str
    holds: str
    never_negative: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        """What an account of this entry is called."""
        parts = (
            r"[^:]+" if part.startswith("<") else re.escape(part) for part in self.name.split(":")
        )
        return re.compile(":".join(parts))


ENTRIES: Final = (
    Entry("assets:receivable", "sold and not paid yet"),
    Entry("assets:receivable:<who>", "what a reseller owes"),
    Entry("assets:cash", "what was taken over the counter"),
    Entry("assets:disputed", "what a bank took back, until it is known whether it comes again"),
    Entry("assets:bank", "what lies at the bank"),
    Entry("assets:bank:<which>", "the same of a second account, or of a test account"),
    # A provider lets it fall below when refunds or lost disputes come after it paid out.
    Entry("assets:<provider>", "what lies at a payment provider", never_negative=False),
    Entry(
        "assets:<provider>:<which>",
        "the same of a second account, or of a test account",
        never_negative=False,
    ),
    Entry(UNEARNED, "service that was paid for and not given yet"),
    Entry(REFUNDS, "what is owed back to customers"),
    Entry(UNALLOCATED, "money that belongs to no order yet"),
    Entry(CREDITS, "what customers' accounts hold"),
    Entry(VOUCHERS, "what was paid for codes that nobody used yet"),
    Entry("liabilities:disputes", "what a provider holds back until a dispute is over"),
    # Refunds after the tax was paid over leave a claim: it is set off against what is taken next.
    Entry(
        "liabilities:tax:<place>",
        "tax that was taken and is to be paid over",
        never_negative=False,
    ),
    Entry("liabilities:partner:<name>", "a partner's shares that were not paid out yet"),
    Entry("liabilities:payable:<what>", "bills that are not paid yet"),
    Entry("income:<service>", "service that was given"),
    Entry("expenses:fees", "what payment providers keep"),
    Entry("expenses:fees:<provider>", "what one provider keeps"),
    Entry("expenses:refunds", "paid back beyond what was unused"),
    Entry("expenses:promotions", "service that was given away"),
    Entry("expenses:disputes", "lost to disputes"),
    Entry("expenses:other", "what belongs nowhere else, with a reason"),
    Entry("expenses:hosting:<gateway>", "what a gateway's host costs"),
    Entry("expenses:partner-share:<service>", "what partners earned of a service"),
    Entry("equity:<what>", "brought in and taken out by the operator", never_negative=False),
)
"""More exact names first: the first that fits is meant."""

_PATTERNS: Final = tuple((entry.pattern, entry) for entry in ENTRIES)


def entry_of(account: str) -> Entry | None:
    """Return the entry that an account belongs to; none for a name that the chart lacks."""
    return next((entry for pattern, entry in _PATTERNS if pattern.fullmatch(account)), None)


def grows_on_debit(account: str) -> bool:
    """Tell whether an account holds what we have or spent, rather than what we owe or earned."""
    return account.startswith(("assets:", "expenses:"))


def income_of(service: str) -> str:
    """Return the account of what a service earned."""
    return f"income:{service}"


def partner(name: str) -> str:
    """Return the account of what a partner is owed."""
    return f"liabilities:partner:{name}"


def partner_share(service: str) -> str:
    """Return the account of what a service's income costs in shares."""
    return f"expenses:partner-share:{service}"


def hosting(gateway: str) -> str:
    """Return the account of what a gateway's host costs."""
    return f"expenses:hosting:{gateway}"
