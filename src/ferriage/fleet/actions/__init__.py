"""Everything that changes the fleet."""

from ferriage.fleet.actions.enrolment import (
    EndpointMissing,
    EnrolmentWrong,
    TokenRefused,
    enrol,
)
from ferriage.fleet.actions.gateways import (
    GatewayClosed,
    GatewayWrong,
    NewGateway,
    NotAssignable,
    assign,
    close_gateway,
    create_gateway,
    drain_gateway,
    new_enrol_token,
    set_endpoint,
)
from ferriage.fleet.actions.lines import (
    LineRefused,
    LineState,
    LineWrong,
    close_line,
    create_line,
    hold_line,
    put_in_service,
    release_line,
)
from ferriage.fleet.actions.packs import accept_pack
from ferriage.fleet.actions.permits import refresh_permits, revoke_approval, suspend_approval
from ferriage.fleet.actions.removals import allow_removals
from ferriage.fleet.actions.reports import (
    DeviceMeter,
    LeaseHeld,
    NotItsPool,
    ReportWrong,
    take_report,
)
from ferriage.fleet.actions.secondperson import (
    answer_outside_link,
    confirm_clock_repair,
    verify_approval,
)

__all__ = [
    "DeviceMeter",
    "EndpointMissing",
    "EnrolmentWrong",
    "GatewayClosed",
    "GatewayWrong",
    "LeaseHeld",
    "LineRefused",
    "LineState",
    "LineWrong",
    "NewGateway",
    "NotAssignable",
    "NotItsPool",
    "ReportWrong",
    "TokenRefused",
    "accept_pack",
    "allow_removals",
    "answer_outside_link",
    "assign",
    "close_gateway",
    "close_line",
    "confirm_clock_repair",
    "create_gateway",
    "create_line",
    "drain_gateway",
    "enrol",
    "hold_line",
    "new_enrol_token",
    "put_in_service",
    "refresh_permits",
    "release_line",
    "revoke_approval",
    "set_endpoint",
    "suspend_approval",
    "take_report",
    "verify_approval",
]
