"""An agent's engine whose peers nobody looks at: it judges, persists and applies to a given nft."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import feed
from ferriage import wire
from ferriage.agent.backend.userspace import Userspace
from ferriage.agent.clock import SiteClock
from ferriage.agent.engine import Engine
from ferriage.agent.identity import Identity

if TYPE_CHECKING:
    from ferriage.agent.nft import Nft
    from ferriage.agent.quota import Quotas
    from ferriage.agent.store import Store
    from ferriage.agent.usage import Meter
    from ferriage.config import Config

NOW = 1_800_000_000
SITE = "http://192.0.2.10"
QUOTA = wire.Quota(bytes=10**9, resets_at=NOW + 86_400)


class QuietPeers(Userspace):
    """Takes every peer."""

    def apply(self, interface: str, *, remove: Any, add: Any) -> dict[str, str]:
        """Change nothing, and refuse nobody."""
        del interface, remove, add
        return {}


def quota_device(number: int) -> wire.Device:
    """Return a device of a plan with a quota, for a day from `NOW`."""
    key = base64.b64encode(number.to_bytes(32, "big")).decode()
    return feed.device(number, public_key=key, hold_at=NOW + 86_400, quota=QUOTA)


def quiet_engine(config: Config, store: Store, nft: Nft, meter: Meter, quotas: Quotas) -> Engine:
    """Return the engine of an enrolled gateway at `NOW`."""
    return Engine(
        config=config,
        identity=Identity(
            gateway="gw_1",
            permit_key="",
            feed_key="",
            site_url=SITE,
            signing_key="",
            wireguard_key=base64.b64encode(bytes(32)).decode(),
            instance="here",
        ),
        store=store,
        clock=SiteClock(site_time=NOW),
        backend=QuietPeers(program="wireguard-go"),
        nft=nft,
        meter=meter,
        quotas=quotas,
    )
