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

from ferriage.config.parts import (
    AgentConfig,
    AlarmsConfig,
    ApprovalsConfig,
    ConfigError,
    DatabaseConfig,
    HubConfig,
    MetricsConfig,
    ShopConfig,
    SignInConfig,
    SiteConfig,
)

__all__ = [
    "AgentConfig",
    "AlarmsConfig",
    "ApprovalsConfig",
    "Config",
    "ConfigError",
    "DatabaseConfig",
    "HubConfig",
    "MetricsConfig",
    "ShopConfig",
    "SignInConfig",
    "SiteConfig",
    "config_path",
    "is_loopback",
    "load",
    "parse",
]

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    alarms: AlarmsConfig = field(default_factory=AlarmsConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
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
    "alarms": AlarmsConfig,
    "metrics": MetricsConfig,
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
