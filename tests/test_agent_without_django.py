"""The agent and the hub are free of Django: three guards, each of which sees what another misses.

The import contract reads source, `sys.modules` sees what is loaded by name at run time, and a
bare environment finds what happens to be installed here but is not in the agent's requirements.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = ROOT / ".tools/bin/uv"
PROGRAMS = ["ferriage.agent.run", "ferriage.agent.hold", "ferriage.hub.server"]


def _run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_import_contracts_are_kept() -> None:
    done = _run(Path(sys.executable).with_name("lint-imports"), "--no-cache")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", PROGRAMS)
def test_django_is_not_loaded(module: str) -> None:
    code = f"import sys, {module}; print([name for name in sys.modules if name[:6] == 'django'])"

    done = _run(sys.executable, "-c", code)

    assert done.stdout.strip() == "[]", done.stderr


def test_agent_and_hub_start_with_the_agents_requirements_alone(tmp_path: Path) -> None:
    if not UV.exists():
        pytest.skip("uv is not here; ./setup installs it")
    environment = tmp_path / "environment"
    made = _run(UV, "venv", "-q", "--python", sys.executable, environment)
    filled = _run(
        *(UV, "pip", "sync", "-q", "--require-hashes", ROOT / "requirements/agent.txt"),
        VIRTUAL_ENV=str(environment),
    )
    code = f"import importlib.util as u, {', '.join(PROGRAMS)}; print(u.find_spec('django'))"

    done = _run(environment / "bin/python", "-c", code, PYTHONPATH=str(ROOT / "src"))

    assert (made.returncode, filled.returncode) == (0, 0), made.stderr + filled.stderr
    assert done.stdout.strip() == "None", done.stderr


def test_agents_command_loads_no_django(tmp_path: Path) -> None:
    code = (
        "import sys; from ferriage.cli import main; code = main(['agent', 'run']); "
        "print(code, [name for name in sys.modules if name[:6] == 'django'])"
    )

    done = _run(sys.executable, "-c", code, FERRIAGE_CONFIG=str(tmp_path / "none.toml"))

    assert done.stdout.strip() == "3 []"
