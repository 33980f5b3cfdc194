"""A shop's directory: opening it for a command, and making it new."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from ferriage import config as settings
from ferriage import wire
from ferriage.approvals import sealing
from ferriage.cli.words import CommandError, Exit

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ferriage.config import Config

_PRIVATE_DIRECTORY: Final = 0o700


def load() -> Config:
    """Return the settings in use.

    Raises:
        ConfigError: There are none, or they cannot be used.
    """
    return settings.load(settings.config_path())


def start_django(config: Config) -> None:
    """Load Django on these settings; what is there of the house is not looked at."""
    os.environ["FERRIAGE_CONFIG"] = str(config.path)
    os.environ["DJANGO_SETTINGS_MODULE"] = "ferriage.core.settings"
    import django

    django.setup()


def enter() -> Config:
    """Load settings and Django for a command that needs the shop's database.

    Raises:
        CommandError: The shop is not made yet, of another release, or its secret does not fit.
    """
    config = load()
    start_django(config)
    fault = first_fault(config)
    if fault:
        raise CommandError(fault, Exit.NOT_SET_UP)
    return config


def first_fault(config: Config) -> str:
    """Return what keeps this shop from being used, with what to do; empty when nothing does."""
    missing = [path for path in (config.permit_key_path, config.feed_key_path) if not path.exists()]
    if missing:
        return f"There is no key {missing[0]}. `ferriage init` makes it; a backup may hold it."
    from django.db import OperationalError

    try:
        return _database_fault()
    except OperationalError as error:
        return f"The database cannot be used: {error}."


def _database_fault() -> str:
    from ferriage.core.hashing import hash_secret
    from ferriage.core.models import SiteState

    if waiting_migrations():
        return "The database is not of this release. `ferriage init` brings it up to it."
    state = SiteState.objects.first()
    if state is None:
        return "There is no shop in this database yet. Run `ferriage init`."
    if state.feed_format == wire.FEED_FORMAT_MOVED:
        return (
            "This shop has moved to another database. Write that one's address as database.url; "
            "`ferriage db migrate-to` printed it."
        )
    if state.feed_format != wire.FEED_FORMAT:
        return "The database speaks another feed format. Install the release it was made with."
    if state.secret_check != hash_secret("check", "ferriage"):
        return (
            "The secret key does not fit this database: nobody could log in and no voucher would "
            "be found. Put the shop's own secret.key back."
        )
    return ""


def waiting_migrations() -> int:
    """Return how many migrations the database lacks."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


# --- making ------------------------------------------------------------------------------------


def make_keys(config: Config) -> list[str]:
    """Make the keys that are missing, and return their names."""
    config.data_dir.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    wanted = {
        config.permit_key_path: wire.new_private_key,
        config.feed_key_path: wire.new_private_key,
    }
    if not any((config.data_dir / "evidence").glob("*")):
        # With a new key the files that are there would be lost for good, and nobody would notice.
        wanted[config.evidence_key_path] = sealing.new_key
    if not config.site.secret_key:
        wanted[config.data_dir / "secret.key"] = lambda: secrets.token_hex(32)
    made = [path for path in wanted if not path.exists()]
    for path in made:
        write_private(path, wanted[path]() + "\n")
    return [path.name for path in made]


def make_database(config: Config, *, now: datetime | None = None) -> bool:
    """Bring the database up to this release and write its first rows; tell whether it is new.

    A shop that has judged nothing yet accepts the rule packs that it is made with; in any other
    they wait for its owner.

    Args:
        now: When that is, in a story that plays at another time; the clock's time without it.
    """
    from django.core.management import call_command

    from ferriage.approvals.actions import begin_with_packs
    from ferriage.approvals.site import packs_on_file
    from ferriage.core import clock, site
    from ferriage.core.actors import Actor
    from ferriage.core.models import SiteState

    call_command("migrate", verbosity=0, interactive=False)
    is_new = not SiteState.objects.exists()
    try:
        site.prepare(inner4=config.shop.inner4, inner6=config.shop.inner6)
    except ValueError as error:
        raise settings.ConfigError(f"shop.inner4, shop.inner6 in {config.path}: {error}") from None
    begin_with_packs(packs=packs_on_file(), now=now or clock.now(), actor=Actor("command", "init"))
    return is_new


def random_inner_network() -> str:
    """Return a random IPv6 network of our own (RFC 4193), so that two shops do not collide."""
    number = secrets.token_hex(5)
    return f"fd{number[:2]}:{number[2:6]}:{number[6:]}::/48"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        FileExistsError: It is there already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
