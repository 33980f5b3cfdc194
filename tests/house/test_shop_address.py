"""Where held customers find the shop, from the settings alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ferriage import config
from ferriage.cli.reach import inner_listen

if TYPE_CHECKING:
    from pathlib import Path


def _parse(tmp_path: Path, **site: Any) -> config.Config:
    return config.parse({"site": site}, path=tmp_path / "ferriage.toml", environ={})


def test_shop_on_the_gateways_host_is_at_the_tunnels_near_end(tmp_path: Path) -> None:
    settings = _parse(tmp_path)

    assert settings.shop_addresses == ("10.64.0.1",)
    assert settings.shop_url == "http://10.64.0.1:8000"
    assert inner_listen(settings) == "10.64.0.1:8000"


def test_shop_with_a_name_keeps_it(tmp_path: Path) -> None:
    settings = _parse(tmp_path, url="https://shop.example", shop_addresses=["192.0.2.7"])

    assert (settings.shop_url, settings.shop_port) == ("https://shop.example", 443)
    assert settings.shop_addresses == ("192.0.2.7",)


@pytest.mark.parametrize(
    "site",
    [
        {"url": "https://shop.example"},
        {"shop_addresses": ["192.0.2.7"]},
        {"listen": ["0.0.0.0:8000"]},
        {"listen": ["127.0.0.1:8000", "10.64.0.1:8000"]},
        {"listen": ["127.0.0.1:9000"]},
    ],
)
def test_inner_address_is_served_only_where_nothing_else_does_it(
    tmp_path: Path, site: dict[str, Any]
) -> None:
    assert inner_listen(_parse(tmp_path, **site)) == ""


@pytest.mark.parametrize("network", ["nonsense", "10.64.0.1/32", "fd00::/8"])
def test_inner_network_that_is_none_is_named(tmp_path: Path, network: str) -> None:
    settings = config.parse({"shop": {"inner4": network}}, path=tmp_path / "f.toml", environ={})

    with pytest.raises(config.ConfigError, match=r"shop\.inner4"):
        assert settings.inner_address
