"""`ferriage sandbox`: a payment provider of our own, for trying out; no Django."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.cli.words import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--port", type=int, default=8010, help="on 127.0.0.1; 0: a free one (8010)")
    parser.add_argument(
        "--shop-url",
        default="http://localhost:8000",
        metavar="URL",
        help="the shop called back: localhost, or an address of this machine (http://localhost:8000)",
    )
    parser.add_argument("--keys", metavar="FILE", help="keep keys and secrets in this file")
    faults = parser.add_argument_group("faults, each in percent of the callbacks (0)")
    faults.add_argument("--lose", type=int, default=0, metavar="N", help="never sent")
    faults.add_argument("--double", type=int, default=0, metavar="N", help="sent twice")
    faults.add_argument("--delay", type=int, default=0, metavar="N", help="sent later")
    faults.add_argument("--reorder", type=int, default=0, metavar="N", help="sent after the next")
    faults.add_argument("--forge", type=int, default=0, metavar="N", help="forged copies besides")
    faults.add_argument("--delay-seconds", type=float, default=5.0, metavar="N", help="(5)")
    faults.add_argument("--seed", type=int, default=1, metavar="N", help="of chance (1)")


def run(parsed: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from ferriage.sandbox.faults import Faults
    from ferriage.sandbox.server import Options, main

    try:
        faults = Faults(
            lose=parsed.lose,
            double=parsed.double,
            delay=parsed.delay,
            reorder=parsed.reorder,
            forge=parsed.forge,
            delay_seconds=parsed.delay_seconds,
            seed=parsed.seed,
        )
    except ValueError as error:
        raise CommandError(f"{error}.", Exit.USAGE) from error
    keys_path = Path(parsed.keys) if parsed.keys else None
    return main(Options(parsed.port, parsed.shop_url, faults, keys_path), say)
