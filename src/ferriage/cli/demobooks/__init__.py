"""`ferriage demo-books`: two shops of the newspaper's size, sold with the real actions.

Each has a database of its own and a clock that the story moves. Prices and sums are the
newspaper's; place, licence, people and numbers are invented, and both shops are lawful.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage import config as settings
from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

_LAW_IN_FORCE: Final = "effective_from = 2026-01-01"
_LAW_BEFORE: Final = "effective_from = 2015-01-01"
_BEGINS: Final = datetime(2015, 9, 1, tzinfo=UTC)


def run(parsed: argparse.Namespace) -> int:
    """Play both shops; a figure that does not come out ends it with exit code 1."""
    # A shop's own settings must not reach the story, nor the story that shop.
    for name in [name for name in os.environ if name.startswith("FERRIAGE_")]:
        del os.environ[name]
    with _directory(parsed.dir) as path:
        directory = Path(path)
        _start(directory)
        from django.db import connections

        from ferriage.cli.demobooks import stories

        try:
            for name, play in stories.BY_NAME.items():
                shop = directory / name
                _make_shop(shop)
                play(shop)
                _hand_out(shop)
        finally:
            connections.close_all()
        if parsed.dir:
            say(f"\nBooks and exports lie in {directory}.")
    return Exit.DONE


def _directory(wanted: str | None) -> AbstractContextManager[str]:
    if wanted is None:
        return tempfile.TemporaryDirectory(prefix="ferriage-demo-books-")
    try:
        Path(wanted).mkdir(parents=True)
    except FileExistsError as error:
        raise CommandError(f"{wanted} is there already; name a new directory.") from error
    return nullcontext(wanted)


def _start(directory: Path) -> None:
    """Make the settings that both shops share, and load Django on them."""
    from ferriage.approvals import packs
    from ferriage.cli.init import to_toml

    # The invented law holds from 2026; these shops sold before.
    law = packs.demo_path().read_text().replace(_LAW_IN_FORCE, _LAW_BEFORE)
    (directory / "XD.toml").write_text(law)
    path = directory / "ferriage.toml"
    site = {"url": "http://localhost:8000", "secure_cookies": False}
    shop = {"inner6": house.random_inner_network()}
    approvals = {"packs": ["XD.toml"]}
    house.write_private(path, to_toml({"site": site, "shop": shop, "approvals": approvals}))
    config = settings.load(path)
    house.make_keys(config)
    house.start_django(config)


def _make_shop(directory: Path) -> None:
    """Give the next shop a database of its own."""
    from django.conf import settings as django_settings
    from django.db import connection

    directory.mkdir()
    connection.close()
    connection.settings_dict["NAME"] = str(directory / "books.sqlite3")
    house.make_database(django_settings.FERRIAGE, now=_BEGINS)


def _hand_out(directory: Path) -> None:
    """Write what a stranger checks, and let the programs check it that we have."""
    from ferriage.cli import books
    from ferriage.ledger import verify

    files = {}
    for form, name in (("beancount", "beancount"), ("csv", "csv"), ("chain", "jsonl")):
        files[form] = directory / f"books.{name}"
        lines = (f"{line}\n" for line in books.export_lines(form))
        with files[form].open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
    read = verify.Books()
    if found := verify.findings(files["chain"], read):
        raise CommandError("\n".join(found))
    say(f"   chain: {verify.summary(read)}")
    say(f"   {_bean_check(files['beancount'])}")


def _bean_check(path: Path) -> str:
    """Let bean-check read the books, where it is installed; it asserts every balance."""
    beside = Path(sys.executable).with_name("bean-check")
    program = str(beside) if beside.exists() else shutil.which("bean-check")
    if program is None:
        return "bean-check is not installed here; beancount brings it"
    done = subprocess.run(
        [program, str(path)], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise CommandError(f"bean-check does not accept the books:\n{done.stderr}")
    return "bean-check accepts the books, with every balance asserted"
