"""The sections of ferriage.toml, each with what holds where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class ConfigError(Exception):
    """The settings cannot be used; the message says which one and what to do."""


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """`[site]`: the shop's web process and what all site processes share."""

    data_dir: str = "data"
    """Keys, evidence and the SQLite file live here. Relative to the TOML file."""
    url: str = "http://localhost:8000"
    """What customers type; links and the hold page use it."""
    name: str = "Ferriage"
    """The shop's name on its pages."""
    listen: tuple[str, ...] = ("127.0.0.1:8000",)
    """Addresses to serve on; one process each."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names served besides the one in `url`."""
    shop_addresses: tuple[str, ...] = ()
    """Where held customers reach the shop; empty when it is on the gateway's own host."""
    secret_key: str = ""
    """Django's secret and the key of keyed hashes; `secret.key` in data_dir when empty."""
    secure_cookies: bool = True
    """Cookies only over https; `init --local` turns it off."""


@dataclass(frozen=True, kw_only=True)
class DatabaseConfig:
    """`[database]`."""

    url: str = ""
    """`postgresql://…`, or empty for SQLite in data_dir. Several hosts: `…@one,two/name`."""

    def parameters(self) -> dict[str, Any]:
        """Return what libpq is told of the PostgreSQL server, with what the URL leaves open.

        Of several hosts the one that takes writes is chosen, at each connection anew. A host that
        vanished without a word is given up after seconds, not after the kernel's quarter hour.

        Raises:
            ConfigError: The URL is none that libpq understands.
        """
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            given = conninfo_to_dict(self.url)
        except ProgrammingError as error:
            raise ConfigError(f"database.url cannot be used: {error}.") from error
        return {
            "target_session_attrs": "read-write",
            "connect_timeout": "5",
            "tcp_user_timeout": "10000",
            **given,
        }


_ANY: Final = {"", "0.0.0.0", "[::]"}  # noqa: S104 -- recognised, not listened on


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """`[hub]`: the process that answers gateways' long-polls."""

    listen: str = "127.0.0.1:8001"
    url: str = ""
    """What gateways are told to ask; by itself where it listens, as this host reaches it."""

    def __post_init__(self) -> None:
        """Follow `listen` where nothing else was said."""
        if not self.url:
            host, _, port = self.listen.rpartition(":")
            here = "127.0.0.1" if host in _ANY else host
            object.__setattr__(self, "url", f"http://{here}:{port}")


@dataclass(frozen=True, kw_only=True)
class ShopConfig:
    """`[shop]`: rules of the business."""

    hold_days: int = 14
    """How long an ended device is held before its peer goes."""
    order_hours: int = 72
    """How long an unpaid order stays open."""
    moves_keep_time: bool = False
    """Whether who moves to a dearer plan, since no line serves, keeps every second of the time."""
    bank_details: str = ""
    """Shown to customers who pay by bank transfer; empty turns that way to pay off."""
    bank_country: str = ""
    """ISO code of the country whose banks pay to the account; customers are presumed there."""
    topup_currency: str = ""
    """Currency of top-ups of a balance, such as `CNY`; empty takes no money in advance."""
    topup_amounts: tuple[str, ...] = ()
    """Amounts to choose from, whole units of that currency."""
    topup_least: str = ""
    """From here on up to `topup_most` any amount may be typed; empty: only those to choose from."""
    topup_most: str = ""
    support_grant_days: int = 31
    """How many days within a year support may give one customer; owners are not bound by it."""
    receipt_limit: int = 500
    """Above so many units of a currency what staff do with money by hand needs two people."""
    refund_days: int = 14
    """How long a customer who asks gets the whole price back, in days from the payment."""
    refund_after: str = "pro_rata"
    """What is refunded on request after that: `pro_rata` for the time not used, or `none`."""
    withdrawal: str = "everywhere"
    """Where customers may withdraw within 14 days: `everywhere`, or `eu` for the Union alone."""
    inner4: str = "10.64.0.0/10"
    """Inner IPv4 network of devices."""
    inner6: str = ""
    """Inner IPv6 network, a random ULA /48 made at `init`."""

    def __post_init__(self) -> None:
        currency, bounds = self.topup_currency, (self.topup_least, self.topup_most)
        if currency and not (len(currency) == len("CNY") and currency.isupper()):
            raise ConfigError(f"shop.topup_currency must be a code such as CNY, not {currency!r}.")
        amounts = [amount for amount in (*self.topup_amounts, *bounds) if amount]
        if any(not amount.isascii() or not amount.isdigit() for amount in amounts):
            raise ConfigError("shop.topup_amounts, topup_least and topup_most are whole numbers.")
        allowed = {
            "refund_after": (self.refund_after, ("pro_rata", "none")),
            "withdrawal": (self.withdrawal, ("everywhere", "eu")),
        }
        for key, (value, choices) in allowed.items():
            if value not in choices:
                raise ConfigError(f"shop.{key} must be one of {choices}, not {value!r}.")


@dataclass(frozen=True, kw_only=True)
class ApprovalsConfig:
    """`[approvals]`."""

    packs: tuple[str, ...] = ()
    """Rule packs that the operator adds, as files. Relative to the TOML file."""


@dataclass(frozen=True, kw_only=True)
class SignInConfig:
    """`[sign_in]`: the organisation's identity provider (OpenID Connect) for a closed service."""

    issuer: str = ""
    """The provider's issuer, such as `https://id.example`; empty turns sign-in off."""
    client_id: str = ""
    """What the provider calls this shop."""
    client_secret: str = ""
    """Best given by FERRIAGE_SIGN_IN_CLIENT_SECRET_FILE; empty for a public client."""
    service: str = ""
    """Short name of the closed service whose people sign in."""
    label: str = ""
    """What people call the provider; its host name when empty."""
    scopes: tuple[str, ...] = ("openid", "profile")
    reference_claim: str = "sub"
    """Claim that holds the personnel or member reference."""
    name_claim: str = "name"
    active_claim: str = ""
    """Claim that must be true at each sign-in; who is told to be inactive is held at once."""
    required_claim: str = ""
    """Claim, such as `groups`, without which nobody is let in."""
    required_value: str = ""
    """What `required_claim` must be, or hold among others; empty: anything."""
    listed_only: bool = True
    """Only people on the service's list come in; else whoever the claims allow is entered."""
    session_hours: int = 12
    """After so long a member must sign in again."""


@dataclass(frozen=True, kw_only=True)
class AlarmsConfig:
    """`[alarms]`: who is told."""

    command: tuple[str, ...] = ()
    """Program and arguments that the worker runs when alarms open and end; empty tells nobody."""


@dataclass(frozen=True, kw_only=True)
class MetricsConfig:
    """`[metrics]`: figures of the site for Prometheus."""

    token: str = ""
    """Bearer token of `/metrics`; best by FERRIAGE_METRICS_TOKEN_FILE. Empty turns it off."""


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """`[agent]`: one gateway."""

    state_dir: str = "agent"
    """Identity, cache and spool. Relative to the TOML file."""
    run_dir: str = "/run/ferriage"
    """On tmpfs: counters' current values, endpoints, the hold page's file."""
    interface_prefix: str = "fer"
    """WireGuard interfaces are called prefix + number."""
    table: str = "ferriage"
    """Name of the nft tables."""
    uplink: str = ""
    """Interface to the internet; empty finds the default route's."""
    report_seconds: int = 10
    forget_seconds: int = 180
    """A peer that sends nothing for so long is forgotten; sessions end by themselves after 180."""
    backend: str = ""
    """Who does WireGuard: `kernel`, `userspace`, or empty for the kernel where it can."""
    unbound: str = "unbound"
    """Program to run as resolver; empty when one is run elsewhere."""
    wireguard_go: str = "wireguard-go"
    """Program for interfaces of the back end `userspace`."""
    hold_port: int = 8480
    """Where `ferriage hold` listens on the inner addresses; port 80 of held devices comes here."""
    resolver_upstream: tuple[str, ...] = ()
    """Addresses the resolver forwards to; empty resolves from the root."""
    allow_networks: tuple[str, ...] = ()
    """Networks let through although the table of denied ranges lists them."""

    def __post_init__(self) -> None:
        if self.backend not in {"", "kernel", "userspace"}:
            raise ConfigError(
                f'agent.backend must be "kernel", "userspace" or empty, not {self.backend!r}.'
            )
