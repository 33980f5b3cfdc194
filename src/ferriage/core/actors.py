"""Who does something: kept as text in audit entries, never as a foreign key."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. `code` is a staff login, a gateway's code, a command's name.

    Of somebody outside who answered by a link it is the name that they gave.

    A customer acts as `Actor("customer", "")`: audit entries of a sale name orders and
    payments, never accounts (`design/subscriber.md`).
    """

    kind: Literal["staff", "customer", "gateway", "system", "command", "outside"]
    code: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.code}" if self.code else self.kind

    def is_called(self, name: str) -> bool:
        """Tell whether a name is this one's: neither blanks nor capitals make a second person."""
        return _bare(self.code) == _bare(name)


CUSTOMER = Actor("customer", "")


def _bare(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
