"""The contract between site and gateway: records, their canonical bytes, and signatures.

Everything that crosses from the site to a gateway, or back, is one of the structures here.
They are `msgspec.Struct`s that are frozen and refuse unknown fields, so a message of another
release is refused whole instead of being half understood. Instants are whole Unix seconds in
UTC; speeds are bits per second; keys are base64 as WireGuard prints them.

Two Ed25519 keys of the site are pinned by every gateway at enrolment. The *permit key* is held
by site and worker: it signs permits and the site's own answers. The *feed key* is held by the
hub: it signs batches and the hub's answers, and can never open a line.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from ferriage.wire.batches import frame_batch, open_batch
from ferriage.wire.calls import (
    ENDPOINT_MISSING,
    EnrolAnswer,
    EnrolRequest,
    PoolAssignment,
    PoolStatus,
    Problem,
    Refused,
    Report,
    ReportAnswer,
    Usage,
)
from ferriage.wire.codec import (
    DIGEST_ZERO,
    check_device,
    check_routes,
    decode,
    decode_item,
    digest_add,
    digest_remove,
    encode,
    inner_network,
    record_hash,
)
from ferriage.wire.records import (
    CLOCK_TOLERANCE_SECONDS,
    FEED_FORMAT,
    MOST_ROUTES,
    WATCH_LIMIT,
    Batch,
    Begin,
    Del,
    Device,
    End,
    HoldReason,
    Item,
    Permit,
    PermitItem,
    PermitState,
    Put,
    Shop,
    SignedPermit,
    Struct,
    WireError,
)
from ferriage.wire.signing import (
    HEADER_GATEWAY,
    HEADER_NONCE,
    HEADER_NOW,
    HEADER_SIGNATURE,
    HEADER_TIME,
    Unauthentic,
    answer_headers,
    answer_message,
    check_request,
    fingerprint,
    new_nonce,
    new_private_key,
    open_permit,
    public_key,
    request_message,
    sign,
    sign_permit,
    verify,
)

__all__ = [
    "CLOCK_TOLERANCE_SECONDS",
    "DIGEST_ZERO",
    "ENDPOINT_MISSING",
    "FEED_FORMAT",
    "HEADER_GATEWAY",
    "HEADER_NONCE",
    "HEADER_NOW",
    "HEADER_SIGNATURE",
    "HEADER_TIME",
    "MOST_ROUTES",
    "WATCH_LIMIT",
    "Batch",
    "Begin",
    "Del",
    "Device",
    "End",
    "EnrolAnswer",
    "EnrolRequest",
    "HoldReason",
    "Item",
    "Permit",
    "PermitItem",
    "PermitState",
    "PoolAssignment",
    "PoolStatus",
    "Problem",
    "Put",
    "Refused",
    "Report",
    "ReportAnswer",
    "Shop",
    "SignedPermit",
    "Struct",
    "Unauthentic",
    "Usage",
    "WireError",
    "answer_headers",
    "answer_message",
    "check_device",
    "check_request",
    "check_routes",
    "decode",
    "decode_item",
    "digest_add",
    "digest_remove",
    "encode",
    "fingerprint",
    "frame_batch",
    "inner_network",
    "new_nonce",
    "new_private_key",
    "open_batch",
    "open_permit",
    "public_key",
    "record_hash",
    "request_message",
    "sign",
    "sign_permit",
    "verify",
]
