"""The back office of the register, as its tests use it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ferriage.approvals import actions
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ferriage.approvals.models import Approval, Party
    from ferriage.approvals.packs import Packs

SECOND = Actor("staff", "vera")
ISSUED = actions.Issued(
    number="XD-2026-17", valid_from=date(2026, 3, 1), valid_to=date(2027, 2, 28)
)
PAPER = actions.EvidenceFile(data=b"%PDF-1.7 paper", title="Licence", media_type="application/pdf")


@dataclass(frozen=True)
class Register:
    """A party and the people around it; each step is the real action, by whom it needs."""

    party: Party
    law: Packs
    store: Path
    now: datetime
    owner: Actor

    def record(self, line_code: str = "ln_1", kind: str = "XD-PUBLIC-VPN") -> Approval:
        return actions.record_approval(
            kind=kind,
            holder=self.party,
            line_codes=[line_code],
            packs=self.law,
            now=self.now,
            actor=self.owner,
        )

    def grant(
        self, approval: Approval, issued: actions.Issued = ISSUED, actor: Actor | None = None
    ) -> Approval:
        return actions.grant(
            approval=approval,
            issued=issued,
            file=PAPER,
            store_dir=self.store,
            now=self.now,
            actor=actor or self.owner,
        )

    def lodge(self, approval: Approval) -> Approval:
        return actions.lodge(
            approval=approval, file=PAPER, store_dir=self.store, now=self.now, actor=self.owner
        )

    def verify(self, approval: Approval, actor: Actor = SECOND) -> Approval:
        return actions.verify(approval=approval, now=self.now, actor=actor)

    def in_force(self, line_code: str = "ln_1") -> Approval:
        return self.verify(self.grant(self.record(line_code)))
