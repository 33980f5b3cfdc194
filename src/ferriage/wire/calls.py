"""The calls between a gateway and its site, and what each answers."""

from __future__ import annotations

from typing import Final

from ferriage.wire.records import SignedPermit, Struct

ENDPOINT_MISSING: Final = "endpoint-missing"
"""Slug with which the site refuses a host that names no endpoint when nobody else has."""


class PoolAssignment(Struct, frozen=True):
    """One pool that the gateway serves: one WireGuard interface on it.

    `interface` is a number; the agent puts its own prefix before it, because userspace
    WireGuard shares one directory of sockets between all network namespaces of a host.
    `gateway4` and `gateway6` are the gateway's inner addresses with prefix length of the whole
    inner network; DNS and the hold page are answered there.
    """

    pool: str
    line: str
    interface: int
    listen_port: int
    gateway4: str
    gateway6: str
    mtu: int


class EnrolRequest(Struct, frozen=True):
    """`POST /gateway/v1/enrol`, self-signed with the signing key it brings."""

    format: int
    token: str
    signing_key: str
    wireguard_key: str
    boot_id: str
    endpoint_host: str
    endpoint_port: int
    agent_version: str
    capabilities: tuple[str, ...]


class EnrolAnswer(Struct, frozen=True):
    """Identity, the site's keys (the token carried the permit key's fingerprint), addresses."""

    gateway: str
    permit_key: str
    feed_key: str
    site_url: str
    hub_url: str
    pools: tuple[PoolAssignment, ...]


class Refused(Struct, frozen=True):
    """A record the agent could not apply, and why."""

    device: str
    reason: str


class Deferred(Struct, frozen=True):
    """Devices that a snapshot did not name and that are kept until staff allow their removal.

    `snapshot_rev` is that snapshot's, `digest` the sum over the records of those kept.
    """

    snapshot_rev: int
    count: int
    digest: str


class PoolStatus(Struct, frozen=True):
    """What the gateway really runs of one pool, read back from its data plane.

    `permit` is the newest it has seen, as it was signed: a site that was restored from an older
    backup is shown what it forgot.
    """

    pool: str
    epoch: str
    rev: int
    digest: str
    permit_serial: int
    line_open: bool
    peers: int
    refused: tuple[Refused, ...] = ()
    permit: SignedPermit | None = None
    deferred: Deferred | None = None


class Usage(Struct, frozen=True):
    """Absolute bytes since the incarnation began; `device` is empty for the pool's sum.

    A device has one counter on a gateway, whichever of its pools it is in; `pool` is one of them.

    An incarnation is one life of a counter: `boot_id` and a number the agent never uses twice. That
    of a device ends with the month of its quota, at `resets_at`; 0 is whichever month runs now.
    """

    pool: str
    incarnation: str
    device: str
    bytes_down: int
    bytes_up: int
    final: bool
    resets_at: int = 0


class Report(Struct, frozen=True):
    """`POST /gateway/v1/report`. Sending one twice changes nothing.

    `instance` names one agent on one host and one state directory; a second one is refused
    while the first one's lease runs. `fence` is the last one the site gave to this instance.
    """

    format: int
    instance: str
    fence: int
    sequence: int
    boot_id: str
    agent_version: str
    backend: str
    pools: tuple[PoolStatus, ...]
    usage: tuple[Usage, ...]
    warnings: tuple[str, ...]


class Allowance(Struct, frozen=True):
    """How far a device's counter may run here: absolute bytes, both ways, of an incarnation."""

    device: str
    incarnation: str
    bytes: int


class ReportAnswer(Struct, frozen=True):
    """The lease, what was taken over, and what the gateway serves now.

    An allowance that is not named again stays as it was.
    """

    fence: int
    lease_seconds: int
    acknowledged: int
    pools: tuple[PoolAssignment, ...]
    hub_url: str
    allowances: tuple[Allowance, ...] = ()


class Problem(Struct, frozen=True):
    """Body of every answer that is an error: a stable slug and a message for people."""

    slug: str
    message: str
