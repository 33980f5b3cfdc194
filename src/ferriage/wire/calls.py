"""The calls between a gateway and its site, and what each answers."""

from __future__ import annotations

from typing import Final, Literal

from ferriage.wire.records import Begin, SignedPermit, Struct

ENDPOINT_MISSING: Final = "endpoint-missing"
"""Slug with which the site refuses a host that names no endpoint when nobody else has."""


GATEWAY_CLOSED: Final = "gateway-closed"
"""Slug for a gateway that staff closed for good. Only the site's word counts: the hub but hints."""


MOST_TOLD: Final = 100
"""Of refused devices per pool, and of warnings: the site takes no report above 2 MiB."""


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
    """Devices that wait for staff since a snapshot: to go, or to be let on again.

    `snapshot_rev` is that snapshot's, `digest` the sum over their records.
    """

    snapshot_rev: int
    count: int
    digest: str


class Since(Struct, frozen=True):
    """What a gateway knows of a device and the records do not: they are of an older backup.

    `unnamed`: they do not name it, it was added since. `renewed`: it runs to `until`, later than
    they say. `off`: it was removed or held since, and waits for staff.
    """

    device: str
    what: Literal["unnamed", "renewed", "off"]
    until: int


class PoolStatus(Struct, frozen=True):
    """What the gateway really runs of one pool, read back from its data plane.

    `permit` is the newest it has seen, and `head` the head of the newest batch it took, as they
    were signed: a site that was restored from an older backup is shown what it forgot. `waiting`
    are the devices of `since` that are off, with the sum of their records in the feed.
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
    head: Begin | None = None
    waiting: Deferred | None = None
    since: tuple[Since, ...] = ()


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


class Sign(Struct, frozen=True):
    """Something that a person should know of a gateway: how often since its agent began, and when.

    `kind` is one of `SIGNS`; a site that does not know one keeps it and raises no alarm. `pool` is
    empty for what concerns the whole host. `at` is the last time, in site time.
    """

    kind: str
    pool: str
    count: int
    at: int


SIGNS: Final = ("table", "element", "peer", "interface", "route", "slow-build")
"""What a `Sign` may be of: our nft tables were gone, elements of its sets differed, peers were
there that no record names or were gone, an interface was gone, or its rules of routing were; and
wireguard-go is a slow build."""


CheckState = Literal["ok", "failed", "unknown"]


class Check(Struct, frozen=True):
    """One thing that an agent looked at on its host, in words that the site has texts for.

    `value` is a fact to show, such as an address. `remedy` names what to do; a check that is `ok`
    may have one too, where something works and could be better.
    """

    slug: str
    state: CheckState
    value: str = ""
    remedy: str = ""


class Report(Struct, frozen=True):
    """`POST /gateway/v1/report`. Sending one twice changes nothing.

    `instance` names one agent on one host and one state directory; a second one is refused
    while the first one's lease runs. `fence` is the last one the site gave to this instance.
    `checks` are all that were made last, or none when the site has these already.
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
    signs: tuple[Sign, ...] = ()
    checks: tuple[Check, ...] = ()


class Allowance(Struct, frozen=True):
    """How far a device's counter may run here: absolute bytes, both ways, of an incarnation."""

    device: str
    incarnation: str
    bytes: int


class ReportAnswer(Struct, frozen=True):
    """The lease, what was taken over, and what the gateway serves now.

    An allowance that is not named again stays as it was. `probe_key` is the WireGuard key with
    which the site tries from outside whether tunnels reach this gateway; it may pass nothing.
    """

    fence: int
    lease_seconds: int
    acknowledged: int
    pools: tuple[PoolAssignment, ...]
    hub_url: str
    allowances: tuple[Allowance, ...] = ()
    probe_key: str = ""


class StandingRequest(Struct, frozen=True):
    """`POST /gateway/v1/standing`: what the site's staff have decided about this gateway."""

    format: int


class Standing(Struct, frozen=True):
    """Whether a gateway serves, is named in no new file, or was closed for good; `since` when.

    `since` is 0 where nothing was decided.
    """

    state: Literal["serving", "draining", "closed"]
    since: int = 0


class Problem(Struct, frozen=True):
    """Body of every answer that is an error: a stable slug and a message for people."""

    slug: str
    message: str
