"""What the import linter cannot see: foreign keys, reverse names, and what may be loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.apps import apps

ROOMS = [
    "web",
    "payments",
    "arrivals",
    "orders",
    "members",
    "devices",
    "plans",
    "fleet",
    "approvals",
    "accounts",
    "ledger",
    "core",
]


def _foreign_keys() -> list[tuple[str, str, str, bool]]:
    found = []
    for room in ROOMS:
        for model in apps.get_app_config(room).get_models():
            for field in model._meta.get_fields():
                if field.many_to_one and field.concrete:
                    target = field.related_model._meta.app_label
                    name = f"{model.__name__}.{field.name}"
                    found.append((room, name, target, field.remote_field.hidden))
    return found


def test_foreign_keys_point_down_the_stack() -> None:
    upward = [
        (name, target)
        for room, name, target, _hidden in _foreign_keys()
        if target in ROOMS and ROOMS.index(target) < ROOMS.index(room)
    ]

    assert upward == []


def test_foreign_keys_across_rooms_leave_no_reverse_name() -> None:
    visible = [
        name
        for room, name, target, hidden in _foreign_keys()
        if target in ROOMS and target != room and not hidden
    ]

    assert visible == []


@pytest.mark.parametrize("module", ["ferriage.agent.run", "ferriage.agent.hold"])
def test_agent_runs_without_django(module: str) -> None:
    code = f"import sys, {module}; print(sorted(m for m in sys.modules if m.startswith('django')))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_hub_runs_without_django() -> None:
    code = (
        "import sys, ferriage.hub.server; "
        "print(sorted(m for m in sys.modules if m.startswith('django')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
