"""The addresses that a host has of its own, out of what ip(8) prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.agent import host

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_PRINTED = (
    '[{}, {"ifname": "fer0", "addr_info": [{"scope": "global", "local": "10.64.0.1"}]},'
    ' {"ifname": "eth9", "addr_info": [{"scope": "global", "local": "192.0.2.77"},'
    ' {"scope": "link", "local": "fe80::1"}]}]'
)


def test_link_that_goes_while_it_is_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ip"
    program.write_text(f"#!/bin/sh\necho '{_PRINTED}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = host.own_addresses("fer")

    assert [address for address in found if address != host.outward_address()] == ["192.0.2.77"]
