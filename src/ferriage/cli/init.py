"""`ferriage init`: makes a shop, and with `--local` opens one to try out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ferriage import config as settings
from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from ferriage.config import Config

    Document = Mapping[str, Mapping[str, object]]

_LOCAL_URL: Final = "http://localhost:8000"


def run(parsed: argparse.Namespace) -> int:
    """Make what is missing; what is there is left as it is."""
    if not parsed.local and not parsed.url and not settings.config_path().exists():
        raise CommandError(
            "Say where customers reach the shop: --url https://shop.example, "
            "or --local for one to try out.",
            Exit.USAGE,
        )
    from ferriage.cli import opening

    opens = parsed.local or parsed.seller is not None
    # Of a new shop everything is asked first, so that a wrong answer leaves nothing behind.
    is_new = not settings.config_path().exists()
    answers = opening.ask(parsed) if opens and is_new else None
    name, bank_details = opening.ask_names(parsed) if is_new else ("", "")
    values = document(parsed, name=name, bank_details=bank_details)
    config = make(values, settings.config_path())
    if opens:
        opening.open_shop(answers, parsed)
    _farewell(config, first_link(config))
    return Exit.DONE


def make(values: Document, path: Path) -> Config:
    """Write settings, keys and database where they are missing, and load Django on them."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        house.write_private(path, to_toml(values))
        say(f"init: wrote {path}")
    config = settings.load(path)
    made = house.make_keys(config)
    if made:
        say(
            f"init: made {', '.join(made)} in {config.data_dir}; keep a copy, nothing replaces them"
        )
    house.start_django(config)
    say(f"init: {'made' if house.make_database(config) else 'checked'} the database")
    fault = house.first_fault(config)
    if fault:
        raise CommandError(fault, Exit.NOT_SET_UP)
    return config


def document(parsed: argparse.Namespace, *, name: str, bank_details: str) -> Document:
    """Return the settings file that the options ask for."""
    url = parsed.url or _LOCAL_URL
    site = {
        "url": url,
        "name": name,
        "listen": parsed.listen,
        "shop_addresses": parsed.shop_address,
        "secure_cookies": url.startswith("https://"),
    }
    hub = {"listen": parsed.hub_listen, "url": parsed.hub_url}
    shop = {"inner6": house.random_inner_network(), "bank_details": bank_details}
    sections = {"site": site, "hub": hub, "database": {"url": parsed.database}, "shop": shop}
    return {
        section: {name: value for name, value in values.items() if value not in (None, "")}
        for section, values in sections.items()
    }


def to_toml(values: Document) -> str:
    """Return a settings file. JSON's strings, numbers and lists of strings are TOML's."""
    parts = ["# Settings of a Ferriage shop; every one: docs/reference/settings.md\n"]
    for section, found in values.items():
        if found:
            lines = (
                f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in found.items()
            )
            parts.append("\n".join((f"[{section}]", *lines, "")))
    return "\n".join(parts)


def first_link(config: Config) -> str:
    """Return a link that makes the owner, unless there is one."""
    from ferriage.accounts.models import StaffProfile
    from ferriage.cli.people import invitation

    if StaffProfile.objects.filter(role="owner").exists():
        return ""
    return invitation(config, "owner")


def _farewell(config: Config, link: str) -> None:
    kept = "keys and evidence" if config.database.url else "keys, evidence and database"
    say(f"\nThe shop's files: settings in {config.path}, {kept} in {config.data_dir}.")
    say("Next, start the shop:")
    tell("  ferriage up")
    say(f"Then open {config.site.url}.")
    if link:
        say(f"While it runs, this link makes the shop's owner; it works once:\n  {link}")
    for step in _gateway_steps():
        tell(step)


def _gateway_steps() -> list[str]:
    """Return how this host becomes the first gateway, while there is a line and none serves it."""
    from ferriage.fleet.models import Gateway, Line

    line = Line.objects.order_by("pk").first()
    if line is None or Gateway.objects.exists():
        return []
    return [
        "\nWhile it runs, as root, make this host the gateway; ADDRESS is where tunnels reach it:",
        f"  ferriage gateway add one --place {line.enter_place} --line {line.code}",
        "  ferriage agent enrol TOKEN --endpoint-host ADDRESS",
        "`ferriage check` says what is missing.",
    ]
