"""One TOML file and the environment, parsed once into a frozen dataclass.

`FERRIAGE_<SECTION>_<KEY>` overrides a key; `FERRIAGE_<SECTION>_<KEY>_FILE` reads it from a file.
An unknown key refuses to start and is named. No Django here: agent and hub read it too.

Source: docs/reference/settings.md
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


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


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """`[hub]`: the process that answers gateways' long-polls."""

    listen: str = "127.0.0.1:8001"
    url: str = "http://127.0.0.1:8001"
    """What gateways are told to ask."""


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
    """Receipts typed by hand, and payouts, above so many units of a currency need two people."""
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


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings. `path` is the TOML file they came from."""

    path: Path
    site: SiteConfig = field(default_factory=SiteConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    hub: HubConfig = field(default_factory=HubConfig)
    shop: ShopConfig = field(default_factory=ShopConfig)
    approvals: ApprovalsConfig = field(default_factory=ApprovalsConfig)
    sign_in: SignInConfig = field(default_factory=SignInConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)

    def resolve(self, name: str) -> Path:
        """Return a path setting as an absolute path; relative ones start at the TOML file."""
        return (self.path.parent / name).resolve()

    @property
    def data_dir(self) -> Path:
        """Directory of the site's keys, evidence and SQLite file."""
        return self.resolve(self.site.data_dir)

    @property
    def database_path(self) -> Path:
        """The SQLite file (used when `database.url` is empty)."""
        return self.data_dir / "ferriage.sqlite3"

    @property
    def permit_key_path(self) -> Path:
        """Private permit key: base64 of 32 bytes, mode 0600."""
        return self.data_dir / "permit.key"

    @property
    def feed_key_path(self) -> Path:
        """Private feed key: base64 of 32 bytes, mode 0600."""
        return self.data_dir / "feed.key"

    @property
    def evidence_key_path(self) -> Path:
        """Key that seals the files of evidence: base64 of 32 bytes, mode 0600."""
        return self.data_dir / "evidence.key"

    @property
    def inner_address(self) -> str:
        """A gateway's own inner IPv4 address: the first of the network, on each of them.

        Raises:
            ConfigError: The network is none.
        """
        try:
            return str(ipaddress.IPv4Network(self.shop.inner4)[1])
        except (ValueError, IndexError) as error:
            raise ConfigError(f"shop.inner4 in {self.path} is no network: {error}.") from error

    @property
    def shop_addresses(self) -> tuple[str, ...]:
        """Where held customers reach the shop. On one host that is the tunnel's near end."""
        return self.site.shop_addresses or (self.inner_address,)

    @property
    def shop_port(self) -> int:
        """The port in `site.url`."""
        url = urlsplit(self.site.url)
        return url.port or (443 if url.scheme == "https" else 80)

    @property
    def shop_url(self) -> str:
        """What held customers are shown: a name for this host would mean their own machine."""
        if not is_loopback(urlsplit(self.site.url).hostname or ""):
            return self.site.url
        return f"http://{self.shop_addresses[0]}:{self.shop_port}"

    def read_secret(self, path: Path) -> str:
        """Return the text of a key file.

        Raises:
            ConfigError: The file is not there or may not be read.
        """
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise ConfigError(
                f"Cannot read {path}: {error.strerror}. `ferriage init` makes it."
            ) from error


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means, on every machine, that machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_SECTIONS: dict[str, type] = {
    "site": SiteConfig,
    "database": DatabaseConfig,
    "hub": HubConfig,
    "shop": ShopConfig,
    "approvals": ApprovalsConfig,
    "sign_in": SignInConfig,
    "agent": AgentConfig,
}


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the TOML file in use: `FERRIAGE_CONFIG`, else `ferriage.toml` here."""
    return Path(environ.get("FERRIAGE_CONFIG", "ferriage.toml")).absolute()


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings.

    Raises:
        ConfigError: No such file, not TOML, an unknown section or key, or a wrong type.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(
            f"There is no settings file {path}. "
            "Run `ferriage init`, or name one in FERRIAGE_CONFIG."
        ) from None
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    return parse(document, path=path, environ=environ)


def parse(document: Mapping[str, Any], *, path: Path, environ: Mapping[str, str]) -> Config:
    """Build the settings from a parsed document and the environment.

    Raises:
        ConfigError: As `load`.
    """
    unknown = sorted(set(document) - set(_SECTIONS))
    if unknown:
        raise ConfigError(
            f"Unknown section [{unknown[0]}] in {path}. Known: {', '.join(sorted(_SECTIONS))}."
        )
    sections: dict[str, Any] = {}
    for section, kind in _SECTIONS.items():
        values = document.get(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"[{section}] in {path} must be a section.")
        merged = {**values, **_overrides(section, kind, environ)}
        sections[section] = _section(section, kind, merged, path)
    return Config(path=path, **sections)


def _overrides(section: str, kind: type, environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(kind):
        name = f"FERRIAGE_{section}_{item.name}".upper()
        if f"{name}_FILE" in environ:
            try:
                found[item.name] = Path(environ[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{name}_FILE: {error.strerror}.") from error
        elif name in environ:
            found[item.name] = _from_text(item.default, environ[name], name)
    return found


def _from_text(default: object, text: str, name: str) -> object:
    if isinstance(default, bool):
        if text.lower() not in {"true", "false"}:
            raise ConfigError(f"{name} must be true or false.")
        return text.lower() == "true"
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{name} must be a whole number.") from None
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _section(section: str, kind: type, values: Mapping[str, Any], path: Path) -> object:
    known = {item.name: item for item in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(
            f"Unknown setting {section}.{unknown[0]} in {path}. "
            f"Known in [{section}]: {', '.join(known)}."
        )
    checked: dict[str, Any] = {}
    for name, value in values.items():
        default = known[name].default
        if isinstance(default, tuple):
            if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
                raise ConfigError(f"{section}.{name} in {path} must be a list of strings.")
            checked[name] = tuple(value)
        elif type(value) is type(default):
            checked[name] = value
        else:
            wanted = {str: "a string", int: "a whole number", bool: "true or false"}
            raise ConfigError(
                f"{section}.{name} in {path} must be {wanted[type(default)]}, not {value!r}."
            )
    return kind(**checked)
