"""`ferriage scenario`: stories that the register judges, in a shop of their own that goes after.

Real rule packs and real actions; every person, company, number and conclusion is invented.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ferriage import config as settings
from ferriage.cli import house
from ferriage.cli.words import Exit, say

if TYPE_CHECKING:
    import argparse


def run(parsed: argparse.Namespace) -> int:
    """Play one story; a step that does not end as the story says ends it with exit code 1."""
    # A shop's own settings must not reach the story, nor the story that shop.
    for name in [name for name in os.environ if name.startswith("FERRIAGE_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="ferriage-scenario-") as directory:
        _make_shop(Path(directory))
        from django.db import connections

        from ferriage.cli.scenario import stories
        from ferriage.cli.scenario.stage import Stage

        try:
            stories.BY_NAME[parsed.name](Stage(Path(directory) / "evidence"))
        finally:
            connections.close_all()
    say("\nThe register checks records. It gives no legal advice, and nothing above is any.")
    return Exit.DONE


def _make_shop(directory: Path) -> None:
    from ferriage.cli.init import to_toml

    path = directory / "ferriage.toml"
    site = {"url": "http://localhost:8000", "secure_cookies": False}
    shop = {"inner6": house.random_inner_network()}
    house.write_private(path, to_toml({"site": site, "shop": shop}))
    config = settings.load(path)
    house.make_keys(config)
    house.start_django(config)
    house.make_database(config)
