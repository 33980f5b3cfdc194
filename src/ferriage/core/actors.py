"""Who does something: kept as text in audit entries, never as a foreign key."""

from __future__ import annotations

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


CUSTOMER = Actor("customer", "")
