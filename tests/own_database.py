"""A database of its own for one test: committed rows that other processes and threads see.

The suite's database is rolled back after each test and, on SQLite, lives in memory. This one is
a copy of a migrated template, in a file or on the PostgreSQL server, and goes after the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connections

import lawbook
from ferriage.config import Config, DatabaseConfig
from ferriage.core.codes import random_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper
    from pytest_django.plugin import DjangoDbBlocker


@pytest.fixture(scope="session")
def template_database(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Config]:
    """A migrated database without rows, made as a shop's is, that nobody is connected to."""
    before: Config = django_settings.FERRIAGE
    data = tmp_path_factory.mktemp("template") / "data"
    shutil.copytree(before.data_dir, data)
    config = replace(before, site=replace(before.site, data_dir=str(data)))
    with django_db_blocker.unblock(), _copied_on_server(config, "template0") as config:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ferriage.core.settings",
            "FERRIAGE_SITE_DATA_DIR": str(data),
            "FERRIAGE_DATABASE_URL": config.database.url,
        }
        migrate = [sys.executable, "-W", "ignore", "-m", "django", "migrate", "--verbosity=0"]
        subprocess.run(migrate, env=environment, check=True, timeout=600)
        yield config


@pytest.fixture
def own_database(
    template_database: Config,
    django_db_blocker: DjangoDbBlocker,
    settings: SettingsWrapper,
    tmp_path: Path,
) -> Iterator[Config]:
    """Use a copy of the template; yield the settings with which others open it."""
    data = tmp_path / "data"
    shutil.copytree(template_database.data_dir, data)
    config = replace(template_database, site=replace(template_database.site, data_dir=str(data)))
    name = urlsplit(config.database.url).path.lstrip("/")
    shared = connections["default"]
    with django_db_blocker.unblock(), _copied_on_server(config, name) as config:
        mine = shared.copy()
        mine.settings_dict["NAME"] = _name(config)
        connections["default"] = mine
        settings.FERRIAGE = config
        lawbook.accept(*lawbook.everyday())
        try:
            yield config
        finally:
            connections["default"] = shared
            mine.close()


def _name(config: Config) -> str:
    if config.database.url:
        return urlsplit(config.database.url).path.lstrip("/")
    return str(config.database_path)


@contextmanager
def _copied_on_server(config: Config, template: str) -> Iterator[Config]:
    """Copy a database on the server and drop the copy afterwards; nothing to do on SQLite."""
    if not config.database.url:
        yield config
        return
    name = f"own_{random_characters()}".lower()
    url = urlunsplit(urlsplit(config.database.url)._replace(path=f"/{name}"))
    _on_server(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield replace(config, database=DatabaseConfig(url=url))
    finally:
        _on_server(f'DROP DATABASE "{name}" WITH (FORCE)')


def _on_server(statement: str) -> None:
    with connections["default"]._nodb_cursor() as cursor:
        cursor.execute(statement)


def at_once[T](*functions: Callable[[], T]) -> list[T | Exception]:
    """Run functions in threads, each on a connection of its own; return results or errors."""
    results: list[T | Exception] = [AssertionError("did not end")] * len(functions)
    ready = threading.Barrier(len(functions))
    ours = connections["default"]

    def run(number: int) -> None:
        mine = connections["default"] = ours.copy()
        ready.wait(10)
        try:
            results[number] = functions[number]()
        except Exception as error:  # noqa: BLE001 -- handed to the test
            results[number] = error
        finally:
            mine.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
