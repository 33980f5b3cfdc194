"""What changes the books: posting, closing a month, partners' shares and payouts, bills."""

from ferriage.ledger.actions.closing import BooksWrong, MonthNotClosable
from ferriage.ledger.actions.hosting import (
    BillWrong,
    book_bills,
    end_bill,
    pay_bill,
    prove_bill,
    record_bill,
)
from ferriage.ledger.actions.payouts import (
    PayoutWrong,
    SecondPersonNeeded,
    cancel_payout,
    note_payout,
    queue_payout,
)
from ferriage.ledger.actions.posting import (
    AlreadyPosted,
    MonthClosed,
    Posting,
    PostingWrong,
    TransferLine,
    post,
    post_all,
)
from ferriage.ledger.actions.shares import AgreementWrong, add_partner, agree, give_login, settle

__all__ = [
    "AgreementWrong",
    "AlreadyPosted",
    "BillWrong",
    "BooksWrong",
    "MonthClosed",
    "MonthNotClosable",
    "PayoutWrong",
    "Posting",
    "PostingWrong",
    "SecondPersonNeeded",
    "TransferLine",
    "add_partner",
    "agree",
    "book_bills",
    "cancel_payout",
    "end_bill",
    "give_login",
    "note_payout",
    "pay_bill",
    "post",
    "post_all",
    "prove_bill",
    "queue_payout",
    "record_bill",
    "settle",
]
