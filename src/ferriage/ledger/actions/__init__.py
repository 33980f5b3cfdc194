"""What changes the books: posting, closing a month, partners' shares and payouts, bills."""

from ferriage.ledger.actions.posting import (
    AlreadyPosted,
    MonthClosed,
    Posting,
    PostingWrong,
    TransferLine,
    post,
    post_all,
)

__all__ = [
    "AlreadyPosted",
    "MonthClosed",
    "Posting",
    "PostingWrong",
    "TransferLine",
    "post",
    "post_all",
]
