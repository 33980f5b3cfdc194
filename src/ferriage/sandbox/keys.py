"""Keys and secrets that the sandbox gives to shops."""

from __future__ import annotations

import json
import os
import secrets
import string
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_LETTERS: Final = string.ascii_letters + string.digits


def token(length: int) -> str:
    """Return random letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


class Keys:
    """Secrets by name; a file keeps them, so that a shop's settings outlive a restart.

    They are made by chance, never fixed: a shop that trusts a known signing secret could be told
    by anybody that it was paid.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        if path is not None and path.exists():
            self._known = json.loads(path.read_text(encoding="ascii"))

    def secret(self, name: str, prefix: str = "", length: int = 32) -> str:
        """Return the secret of a name; made when it is asked for first."""
        if name not in self._known:
            self._known[name] = prefix + token(length)
            self._keep()
        return self._known[name]

    def _keep(self) -> None:
        if self._path is None:
            return
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(self._known, file, indent=1, sort_keys=True)
