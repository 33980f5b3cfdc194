"""The rows of the register, by what they are about."""

from ferriage.approvals.models.diary import (
    Fulfilment,
    Incident,
    TaskTick,
)
from ferriage.approvals.models.law import (
    PackAcceptance,
    PackVersion,
)
from ferriage.approvals.models.record import (
    Approval,
    ApprovalLine,
    Decision,
    Determination,
    Evidence,
    Party,
)
from ferriage.approvals.models.second import (
    ClockRepair,
    OutsideAnswer,
    OutsideLink,
)

__all__ = [
    "Approval",
    "ApprovalLine",
    "ClockRepair",
    "Decision",
    "Determination",
    "Evidence",
    "Fulfilment",
    "Incident",
    "OutsideAnswer",
    "OutsideLink",
    "PackAcceptance",
    "PackVersion",
    "Party",
    "TaskTick",
]
