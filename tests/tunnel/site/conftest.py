"""Fixtures of tunnels under a real site: they need Django, which the kernel's tests do without."""

from __future__ import annotations

from own_database import own_database, template_database
from yard import law, make_yard

__all__ = ["law", "make_yard", "own_database", "template_database"]
