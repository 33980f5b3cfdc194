"""A shop in the invented place, with a party and the people who work there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from register_office import Register

from ferriage.approvals import actions, packs
from ferriage.approvals.site import packs_on_file

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from ferriage.core.actors import Actor


@pytest.fixture
def law(settings: SettingsWrapper) -> packs.Packs:
    """The built-in packs and the demo's, on file; the suite's shop has accepted them."""
    config = settings.FERRIAGE
    demo = replace(config.approvals, packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(config, approvals=demo)
    return packs_on_file()


@pytest.fixture
def register(
    db: None,  # noqa: ARG001 -- asks for the database
    law: packs.Packs,
    tmp_path: Path,
    now: datetime,
    owner: Actor,
) -> Register:
    party = actions.create_party(name="Demo Lines Ltd", place="XD", now=now, actor=owner)
    return Register(party, law, tmp_path / "evidence", now, owner)
