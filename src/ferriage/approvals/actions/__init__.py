"""Everything that changes the register. Nobody overrides a verdict: there is no such action."""

from ferriage.approvals.actions.approvals import (
    Issued,
    IssuedWrong,
    PlaceUnreadable,
    UnknownKind,
    create_party,
    grant,
    lodge,
    record_approval,
    refuse,
    reinstate,
    revoke,
    surrender,
    suspend,
)
from ferriage.approvals.actions.clockrepairs import (
    NothingToRepair,
    RepairWrong,
    confirm_clock_repair,
    drop_clock_repair,
    first_wrong,
    propose_clock_repair,
)
from ferriage.approvals.actions.decisions import (
    ClockBehind,
    ClockUnsynchronised,
    check_clock,
    write_decision,
)
from ferriage.approvals.actions.determinations import (
    Asked,
    Conclusion,
    NotReasoned,
    QuestionAnswered,
    end_determination,
    record_determination,
)
from ferriage.approvals.actions.evidence import EvidenceFile, EvidenceRefused, add_evidence
from ferriage.approvals.actions.outside import (
    LINK_LENGTH,
    Answer,
    AnswerIncomplete,
    OutsideLinkGone,
    answer_outside_link,
    create_outside_link,
)
from ferriage.approvals.actions.steps import NotInThisState
from ferriage.approvals.actions.verification import (
    EvidenceMissing,
    SamePerson,
    verify,
)
from ferriage.approvals.actions.versions import ReasonMissing, Record, correct

__all__ = [
    "LINK_LENGTH",
    "Answer",
    "AnswerIncomplete",
    "Asked",
    "ClockBehind",
    "ClockUnsynchronised",
    "Conclusion",
    "EvidenceFile",
    "EvidenceMissing",
    "EvidenceRefused",
    "Issued",
    "IssuedWrong",
    "NotInThisState",
    "NotReasoned",
    "NothingToRepair",
    "OutsideLinkGone",
    "PlaceUnreadable",
    "QuestionAnswered",
    "ReasonMissing",
    "Record",
    "RepairWrong",
    "SamePerson",
    "UnknownKind",
    "add_evidence",
    "answer_outside_link",
    "check_clock",
    "confirm_clock_repair",
    "correct",
    "create_outside_link",
    "create_party",
    "drop_clock_repair",
    "end_determination",
    "first_wrong",
    "grant",
    "lodge",
    "propose_clock_repair",
    "record_approval",
    "record_determination",
    "refuse",
    "reinstate",
    "revoke",
    "surrender",
    "suspend",
    "verify",
    "write_decision",
]
