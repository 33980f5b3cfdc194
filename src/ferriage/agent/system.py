"""Starting other programs: those that change this host's network, and those that outlive us."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from ferriage.agent.errors import DataPlaneError

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_APPARMOR: Final = Path("/proc/self/attr/apparmor/current")


def run(*command: str, stdin: str = "", check: bool = True) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        DataPlaneError: It is not installed, hangs, or (with `check`) fails; with its message.
    """
    try:
        # Into a file: nft writes a big table in tiny pieces when it writes to a pipe.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            done = subprocess.run(
                command,
                input=stdin,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
            output.seek(0)
            printed = output.read()
    except FileNotFoundError:
        raise DataPlaneError(f"{command[0]} is not installed.") from None
    except subprocess.TimeoutExpired:
        raise DataPlaneError(f"{command[0]} hangs.") from None
    if check and done.returncode:
        message = done.stderr.strip().splitlines()
        raise DataPlaneError(f"{' '.join(command[:3])}: {message[0] if message else 'failed'}")
    return printed


def in_memory(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Say whether what is written below a path stays in memory, judged by its mount."""
    found = ["", ""]
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, point, kind, *_ = line.split()
        if path.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = [point, kind]
    return found[1] in {"tmpfs", "ramfs"}


def spawn(*command: str, output: Path = Path(os.devnull)) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that nothing of the agent ends it.

    It gets a file for its output: a pipe would be held open for as long as it lives.

    Raises:
        DataPlaneError: It is not installed.
    """
    with output.open("wb") as file:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env={"LOG_LEVEL": "silent", "PATH": _PATH},
            )
        except FileNotFoundError:
            raise DataPlaneError(f"{command[0]} is not installed.") from None


def unconfined(*command: str, label: Path = _APPARMOR) -> tuple[str, ...]:
    """Return the command with which a program starts outside its AppArmor profile.

    Debian confines every /usr/sbin/unbound to the files of its packaged service, so ours could
    not read its own configuration. Who is confined already (in a container) can leave nothing,
    and needs not: the profile is not applied there. Where AppArmor is off the label cannot be read.

    Source: docs/decisions/0009-unbound-unconfined.md
    """
    with contextlib.suppress(OSError):
        free = label.read_text(encoding="ascii").strip() == "unconfined"
        if free and shutil.which("aa-exec", path=_PATH):
            return ("aa-exec", "-p", "unconfined", "--", *command)
    return command
