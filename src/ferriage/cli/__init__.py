"""The `ferriage` command: makes a shop, starts its processes, answers its operator."""

from ferriage.cli.front import main

__all__ = ["main"]
