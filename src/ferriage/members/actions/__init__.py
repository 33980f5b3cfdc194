"""Everything that changes who belongs to a closed service."""

from ferriage.members.actions.importing import FileWrong, Imported, import_file
from ferriage.members.actions.membership import (
    Accepted,
    InvitationUnusable,
    MemberWrong,
    NotMember,
    accept,
    enter,
    enter_and_invite,
    invite,
    invite_all,
    leave,
    leave_all,
    rename,
)
from ferriage.members.actions.service import ServiceWrong, close_service
from ferriage.members.actions.sign_in import (
    ATTEMPT_LENGTH,
    CameIn,
    MustAccept,
    TurnedAway,
    begin_sign_in,
    sign_in,
    take_attempt,
)
from ferriage.members.models import SignInAttempt

__all__ = [
    "ATTEMPT_LENGTH",
    "Accepted",
    "CameIn",
    "FileWrong",
    "Imported",
    "InvitationUnusable",
    "MemberWrong",
    "MustAccept",
    "NotMember",
    "ServiceWrong",
    "SignInAttempt",
    "TurnedAway",
    "accept",
    "begin_sign_in",
    "close_service",
    "enter",
    "enter_and_invite",
    "import_file",
    "invite",
    "invite_all",
    "leave",
    "leave_all",
    "rename",
    "sign_in",
    "take_attempt",
]
