from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ferriage import config

if TYPE_CHECKING:
    from pathlib import Path


def _parse(tmp_path: Path, document: dict[str, Any], **environ: str) -> config.Config:
    return config.parse(document, path=tmp_path / "ferriage.toml", environ=environ)


def test_settings_have_working_defaults(tmp_path: Path) -> None:
    settings = _parse(tmp_path, {})

    assert settings.site.listen == ("127.0.0.1:8000",)
    assert settings.database_path == tmp_path / "data" / "ferriage.sqlite3"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"site": {"lisen": ["127.0.0.1:1"]}}, "site.lisen"),
        ({"sites": {}}, "[sites]"),
        ({"site": {"listen": "127.0.0.1:1"}}, "site.listen"),
        ({"shop": {"hold_days": "14"}}, "shop.hold_days"),
        ({"shop": {"hold_days": True}}, "shop.hold_days"),
        ({"site": 1}, "[site]"),
    ],
)
def test_unknown_or_wrong_setting_is_refused_and_named(
    tmp_path: Path, document: dict[str, Any], named: str
) -> None:
    with pytest.raises(config.ConfigError) as caught:
        _parse(tmp_path, document)

    assert named in str(caught.value)


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = _parse(
        tmp_path,
        {"site": {"name": "From file"}, "shop": {"hold_days": 3}},
        FERRIAGE_SITE_NAME="From environment",
        FERRIAGE_SHOP_HOLD_DAYS="7",
        FERRIAGE_SITE_LISTEN="127.0.0.1:1, 127.0.0.1:2",
        FERRIAGE_SITE_SECURE_COOKIES="false",
    )

    assert settings.site.name == "From environment"
    assert settings.shop.hold_days == 7
    assert settings.site.listen == ("127.0.0.1:1", "127.0.0.1:2")
    assert settings.site.secure_cookies is False


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("192.0.2.1:8111", "http://192.0.2.1:8111"),
        ("[2001:db8::1]:8111", "http://[2001:db8::1]:8111"),
        ("0.0.0.0:8111", "http://127.0.0.1:8111"),
    ],
)
def test_gateways_are_told_where_the_hub_listens_unless_said_otherwise(
    tmp_path: Path, listen: str, url: str
) -> None:
    path = tmp_path / "ferriage.toml"
    path.write_text(f'[hub]\nlisten = "{listen}"\n')

    said = config.load(path, {"FERRIAGE_HUB_URL": "https://hub.example"})

    assert (config.load(path, {}).hub.url, said.hub.url) == (url, "https://hub.example")


def test_secrets_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the house\n")

    settings = _parse(tmp_path, {}, FERRIAGE_SITE_SECRET_KEY_FILE=str(secret))

    assert settings.site.secret_key == "of the house"


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="ferriage init"):
        config.load(tmp_path / "none.toml", {})


def test_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ferriage.toml"
    path.write_text("[site\n")

    with pytest.raises(config.ConfigError, match="is not TOML"):
        config.load(path, {})
