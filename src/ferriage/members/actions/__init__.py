"""Everything that changes who belongs to a closed service."""

from ferriage.members.actions.membership import (
    Accepted,
    InvitationUnusable,
    MemberWrong,
    NotMember,
    accept,
    enter,
    invite,
    leave,
    leave_all,
    rename,
)
from ferriage.members.actions.service import ServiceWrong, close_service

__all__ = [
    "Accepted",
    "InvitationUnusable",
    "MemberWrong",
    "NotMember",
    "ServiceWrong",
    "accept",
    "close_service",
    "enter",
    "invite",
    "leave",
    "leave_all",
    "rename",
]
