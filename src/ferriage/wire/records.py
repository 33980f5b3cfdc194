"""What a gateway must run: devices, permits, and the batches they travel in."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

FEED_FORMAT: Final = 5
"""Raised, once in a minor version, when a structure here changes; what it adds is in `formats`."""

SPOKEN: Final = (FEED_FORMAT - 1, FEED_FORMAT)
"""What this release understands and can say: its own format and the one before."""

FORMAT_UNNAMED: Final = 4
"""The format of who asks a hub for news and names none: only agents of that format do so."""

FORMAT_REFUSED: Final = "format"
"""Slug of an answer to somebody whose format is not spoken here."""

FASTEST_BPS: Final = 100_000_000_000
"""The kernel's limits end at about 147 Gbit/s; a record above that would be refused by it."""

FEED_FORMAT_MOVED: Final = 0
"""In a database whose shop has moved to another: no site, worker or hub of any release opens it."""

WATCH_LIMIT: Final = 1000
"""Most items one delta carries; the caller asks again from its last revision."""

MOST_ROUTES: Final = 16
WIDEST_ROUTE: Final = {4: 8, 6: 16}
"""Shortest prefix of an inner network, by IP version: so that not even all routes that a device
may have can be pieced together to the internet."""

CLOCK_TOLERANCE_SECONDS: Final = 300
"""How far a request's time may lie from the site's before the request is refused."""

HoldReason = Literal["term", "quota", "staff"]
PermitState = Literal["open", "held", "closed"]


class WireError(Exception):
    """A message that is not what the contract says. Nothing of it may be used."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every structure on the wire."""


class Quota(Struct, frozen=True):
    """Bytes, both ways together, that a device may use in a stretch of time, and its end.

    The site splits what is left among the devices of a subscription by `Allowance`s; this is what
    holds before the first, and again once `resets_at` has come and the site is silent.
    """

    bytes: int
    resets_at: int


class Device(Struct, frozen=True, gc=False):
    """What a gateway must know of one device. It has no state: see `hold_at`.

    `slot` is the device's mark in nft, unique on the site, and its number in both inner networks.
    `hold_at` is the instant its right ends (exclusive); from then on the peer stays and is held
    until `remove_at`.
    `routes` are the inner networks it may reach, and then nothing else; without any it is the
    internet, and no inner network. Only with a `quota` its bytes are reported by device.
    """

    id: str
    generation: int
    slot: int
    public_key: str
    ip4: str
    ip6: str
    rate_down_bps: int
    rate_up_bps: int
    burst_bytes: int
    hold_at: int
    hold_reason: HoldReason
    remove_at: int
    language: str = "en"
    routes: tuple[str, ...] = ()
    quota: Quota | None = None


class Shop(Struct, frozen=True):
    """Where a held customer can still go: the shop's name, its addresses and TCP port."""

    url: str
    name: str
    addresses: tuple[str, ...]
    port: int


class Permit(Struct, frozen=True):
    """The site's signed word that a line may be open until an instant, or may not.

    A gateway keeps the highest `serial` it has seen of a line for ever and refuses a lower one.
    `reason` is shown to customers when the line is not open; it is keyed by language.
    """

    line: str
    serial: int
    state: PermitState
    open_until: int
    decision: int
    reason: dict[str, str]
    shop: Shop


class SignedPermit(Struct, frozen=True):
    """A permit exactly as it was signed: canonical JSON text, and the permit key's signature."""

    payload: str
    signature: str


class Put(Struct, frozen=True, tag="put", tag_field="kind"):
    """Add the device, or replace what is held under its id."""

    rev: int
    device: Device


class Del(Struct, frozen=True, tag="del", tag_field="kind"):
    """Take the device away. Also a tombstone in snapshots."""

    rev: int
    device: str


class PermitItem(Struct, frozen=True, tag="permit", tag_field="kind"):
    """A new permit of the pool's line. Always the first item of a snapshot."""

    rev: int
    permit: SignedPermit


class Allow(Struct, frozen=True, tag="allow", tag_field="kind"):
    """Staff's word that devices may go which a snapshot did not name, or be let on again.

    It holds for exactly what a gateway reported as `Deferred`, and for nothing that came since.
    Only in deltas: after a snapshot staff are asked anew.
    """

    rev: int
    epoch: str
    snapshot_rev: int
    digest: str


Item = Put | Del | PermitItem | Allow


class Begin(Struct, frozen=True):
    """First line of a batch; its signature covers every other field, so all items too.

    `count` and `items_sha256` are of the item lines between begin and end (each with its
    newline). `digest` is the pool's digest once the batch is applied. `after` is 0 in a snapshot.
    """

    format: int
    batch: Literal["snapshot", "delta"]
    pool: str
    epoch: str
    after: int
    rev: int
    count: int
    digest: str
    items_sha256: str
    signature: str = ""


class End(Struct, frozen=True):
    """Last line of a batch; a batch without it was cut short and is not used."""

    end: Literal[True]
    count: int


class Batch(Struct, frozen=True):
    """A verified batch as the agent uses it."""

    begin: Begin
    items: tuple[Item, ...]
