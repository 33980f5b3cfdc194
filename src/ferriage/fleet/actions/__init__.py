"""Everything that changes the fleet."""

from ferriage.fleet.actions.alarms import (
    acknowledge_alarm,
    forget_unopened,
    raise_alarm,
    raise_alarms,
    settle_alarms,
)
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
    closed,
    create_gateway,
    drain_gateway,
    new_enrol_token,
    set_endpoint,
    unassign,
    undrain_gateway,
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
from ferriage.fleet.actions.newcomers import FormatRefused, note_probe, refuse_format
from ferriage.fleet.actions.packs import accept_pack
from ferriage.fleet.actions.permits import refresh_permits, revoke_approval, suspend_approval
from ferriage.fleet.actions.plainreport import ReportWrong
from ferriage.fleet.actions.pools import (
    NoPortLeft,
    NoRoom,
    SizeWrong,
    check_room,
    place,
    places_left,
    release,
    set_size_limit,
)
from ferriage.fleet.actions.removals import allow_removals, allow_return
from ferriage.fleet.actions.reports import (
    DeviceMeter,
    LeaseHeld,
    NotItsPool,
    take_report,
)
from ferriage.fleet.actions.restored import begin_history
from ferriage.fleet.actions.secondperson import (
    answer_outside_link,
    confirm_clock_repair,
    verify_approval,
)
from ferriage.fleet.lookout import Fact

__all__ = [
    "DeviceMeter",
    "EndpointMissing",
    "EnrolmentWrong",
    "Fact",
    "FormatRefused",
    "GatewayClosed",
    "GatewayWrong",
    "LeaseHeld",
    "LineRefused",
    "LineState",
    "LineWrong",
    "NewGateway",
    "NoPortLeft",
    "NoRoom",
    "NotAssignable",
    "NotItsPool",
    "ReportWrong",
    "SizeWrong",
    "TokenRefused",
    "accept_pack",
    "acknowledge_alarm",
    "allow_removals",
    "allow_return",
    "answer_outside_link",
    "assign",
    "begin_history",
    "check_room",
    "close_gateway",
    "close_line",
    "closed",
    "confirm_clock_repair",
    "create_gateway",
    "create_line",
    "drain_gateway",
    "enrol",
    "forget_unopened",
    "hold_line",
    "new_enrol_token",
    "note_probe",
    "place",
    "places_left",
    "put_in_service",
    "raise_alarm",
    "raise_alarms",
    "refresh_permits",
    "refuse_format",
    "release",
    "release_line",
    "revoke_approval",
    "set_endpoint",
    "set_size_limit",
    "settle_alarms",
    "suspend_approval",
    "take_report",
    "unassign",
    "undrain_gateway",
    "verify_approval",
]
