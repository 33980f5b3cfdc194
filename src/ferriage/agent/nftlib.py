"""libnftables in this process: what nft(1) does, without starting it.

nft(1) is a thin program around this library and Debian installs them together. A process of its
own costs 2.7 ms a batch, most of the time in which one device becomes live; a call 0.06 ms. Where
the library is not found, and for long scripts, the program does the work.

Source: libnftables(3)
"""

from __future__ import annotations

import ctypes
from typing import Final

import structlog

from ferriage.agent.errors import DataPlaneError
from ferriage.agent.system import run

log = structlog.get_logger()

_NAME: Final = "libnftables.so.1"
_SHORT: Final = 1 << 16
"""Longer scripts go to the program: the library would keep many times their size of our memory."""


class Library:
    """One context of the library, in the network namespace in which it was made."""

    def __init__(self, name: str = _NAME) -> None:
        """Load the library.

        Raises:
            OSError: It is not there.
        """
        self._library = _declared(ctypes.CDLL(name))
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def __call__(self, script: str) -> None:
        """Run a script as `Changer` does."""
        if self._library.nft_run_cmd_from_buffer(self._context, script.encode()):
            said: bytes = self._library.nft_ctx_get_error_buffer(self._context)
            raise DataPlaneError(f"nft: {_first_line(said.decode())}")


class Changer:
    """Changes rules: short scripts by the library, long ones, or all without it, by the program."""

    def __init__(self, name: str = _NAME) -> None:
        self._library: Library | None = None
        try:
            self._library = Library(name)
        except OSError as error:
            log.warning("nft.by_program", reason=str(error))

    def __call__(self, script: str) -> None:
        """Run a script that prints nothing, as one transaction.

        Raises:
            DataPlaneError: Nothing of it was taken.
        """
        if self._library is None or len(script) > _SHORT:
            run("nft", "-f", "-", stdin=script)
        else:
            self._library(script)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "failed"
