from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ferriage import config
from ferriage.approvals import packs
from ferriage.approvals.site import evidence_dir, is_public, packs_on_file

if TYPE_CHECKING:
    from pytest_django.fixtures import SettingsWrapper


def shop(url: str, *listen: str, hosts: tuple[str, ...] = ()) -> config.Config:
    site = config.SiteConfig(url=url, listen=listen or ("127.0.0.1:8000",), allowed_hosts=hosts)
    return config.Config(path=Path("/nowhere/ferriage.toml"), site=site)


@pytest.mark.parametrize(
    "private",
    [
        shop("http://localhost:8000"),
        shop("http://shop.example", "[::1]:8000"),
        shop("http://192.0.2.10:8000", "192.0.2.10:8000", "[2001:db8::1]:80"),
        shop("http://demo", "10.1.2.3:80", hosts=("shop.test",)),
    ],
)
def test_site_that_no_stranger_reaches_is_not_public(private: config.Config) -> None:
    assert not is_public(private)


@pytest.mark.parametrize(
    "public",
    [
        shop("https://vpn.company.com"),
        shop("http://localhost", "0.0.0.0:8000"),
        shop("http://localhost", "[::]:8000"),
        shop("http://8.8.8.8"),
        shop("http://localhost", "[2606:4700::1]:8000"),
        shop("http://localhost", hosts=("vpn.company.com",)),
        shop("http://shop.example.com"),
    ],
)
def test_site_that_a_stranger_may_reach_is_public(public: config.Config) -> None:
    assert is_public(public)


def test_invented_place_is_refused_on_a_public_site(settings: SettingsWrapper) -> None:
    demo = config.ApprovalsConfig(packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(shop("https://vpn.company.com"), approvals=demo)
    with pytest.raises(packs.PackError, match="invented place"):
        packs_on_file()
    settings.FERRIAGE = replace(shop("http://localhost:8000"), approvals=demo)
    assert packs_on_file().by_place["XD"].invented


def test_evidence_lies_in_the_data_directory(settings: SettingsWrapper) -> None:
    settings.FERRIAGE = shop("http://localhost:8000")
    assert evidence_dir() == Path("/nowhere/data/evidence")
