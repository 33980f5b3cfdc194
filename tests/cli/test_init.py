"""`ferriage init` on real directories, each in a process of its own as an operator runs it."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
import tomllib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.packs import demo_path
from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path

KEPT = (
    "ferriage.toml",
    "data/secret.key",
    "data/permit.key",
    "data/feed.key",
    "data/evidence.key",
)
"""What running twice must never change."""

CONCLUSION = (
    "We read the act and find that no permission is asked for.\nThe act that we read\n"
    "chapter 2, section 1\n2026-11-01\nOlga Harbour\nyes\n"
)


def _files(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in KEPT}


def _link(said: str) -> str:
    found = re.search(r"https://shop\.se/staff/link/(\S{40,})", said)
    assert found is not None
    return found[1]


def _rows(directory: Path, table: str) -> int:
    path = directory / "data/ferriage.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 -- ours


def test_init_makes_settings_and_private_keys(shop: Path) -> None:
    settings = tomllib.loads((shop / "ferriage.toml").read_text())

    assert settings["site"] == {"url": "https://shop.se", "name": "Ferries", "secure_cookies": True}
    assert re.fullmatch(r"fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}::/48", settings["shop"]["inner6"])
    assert [name for name in KEPT if (shop / name).stat().st_mode & 0o077] == []


def test_init_twice_harms_nothing_and_gives_a_fresh_link(shop: Path) -> None:
    before = _files(shop)

    again = ferriage(shop, "init", "--url", "https://other.example")

    assert again.returncode == 0, again.stderr
    assert _files(shop) == before
    assert _link(again.stdout) != _link((shop / "said").read_text())


def test_init_says_where_the_files_are_and_what_comes_next(shop: Path) -> None:
    done = ferriage(shop, "init", "--local", stdin="SE\n\n\nHarbour AB\n\n\n\n")

    said = done.stdout.splitlines()
    at = said.index("Next, start the shop:")
    assert said[at - 1] == (
        f"The shop's files: settings in {shop}/ferriage.toml, keys, evidence and database in "
        f"{shop}/data."
    )
    assert said[at + 1].startswith("  ")
    assert said[at + 1].endswith("ferriage up")
    assert said[at + 2] == "Then open https://shop.se."
    assert _link(done.stdout) in said[at + 4]


def test_init_without_address_asks_for_one(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "init")

    assert done.returncode == 2
    assert "--local" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["XD", "ZZ", "QM", "AA"])
def test_init_refuses_a_place_that_no_country_has(tmp_path: Path, place: str) -> None:
    done = ferriage(tmp_path, "init", "--local", "--seller", "Us", "--enter", place)

    assert done.returncode == 1
    assert "no country has" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_shop_is_filled_and_says_why_its_line_is_closed(shop: Path) -> None:
    done = ferriage(shop, "init", "--local", stdin="SE\n\n\nHarbour AB\n\n\n\n")

    assert done.returncode == 0, done.stderr
    assert "The line stays closed" in done.stdout
    assert _rows(shop, "plans_price") == 8
    assert _rows(shop, "approvals_determination") == 0


def test_line_opens_once_each_open_question_has_a_conclusion(shop: Path) -> None:
    answers = "SE\n\n\nHarbour AB\n\n\n\n" + CONCLUSION * 4

    done = ferriage(shop, "init", "--local", stdin=answers)

    assert done.returncode == 0, done.stderr
    assert "is open" in done.stdout
    assert _rows(shop, "approvals_determination") == 4


def test_conclusion_without_the_statement_is_not_recorded(shop: Path) -> None:
    unsigned = CONCLUSION.replace("yes\n", "no\n")

    done = ferriage(shop, "init", "--local", stdin=f"SE\n\n\nHarbour AB\n\n\n\n{unsigned}\n")

    assert "not recorded" in done.stdout
    assert _rows(shop, "approvals_determination") == 0


def test_unreadable_day_is_asked_again_and_loses_no_words(shop: Path) -> None:
    wrong_day = CONCLUSION.replace("2026-11-01", "yesterday\n2026-11-01")

    done = ferriage(shop, "init", "--local", stdin=f"SE\n\n\nHarbour AB\n\n\n\n{wrong_day}\n")

    assert "“yesterday” is not a day" in done.stdout
    assert _rows(shop, "approvals_determination") == 1


def test_open_line_with_the_sale_left_open_says_that_nothing_is_sold(shop: Path) -> None:
    answers = "SE\n\n\nHarbour AB\n\n\n\n" + CONCLUSION * 3

    done = ferriage(shop, "init", "--local", stdin=answers)

    assert "is open\ninit: selling to customers in Sweden [SE] is left open" in done.stdout


def test_check_names_a_shop_address_that_is_the_customers_own_machine(shop: Path) -> None:
    done = ferriage(shop, "check", FERRIAGE_SITE_SHOP_ADDRESSES="127.0.0.1")

    assert done.returncode == 1
    assert "✗ held customers cannot reach the shop: 127.0.0.1" in done.stdout
    assert ferriage(shop, "check").returncode == 0


def test_check_names_a_gateway_elsewhere_whose_held_customers_find_no_shop(shop: Path) -> None:
    ferriage(shop, "gateway", "add", "far", "--place", "SE")
    with contextlib.closing(sqlite3.connect(shop / "data/ferriage.sqlite3")) as database, database:
        database.execute("UPDATE fleet_gateway SET state = 'active', endpoint_host = 'far.se'")

    done = ferriage(shop, "check")

    assert done.returncode == 1
    assert "✗ customers held on far cannot reach the shop" in done.stdout
    assert ferriage(shop, "check", FERRIAGE_SITE_SHOP_ADDRESSES="192.0.2.7").returncode == 0


def test_port_that_cannot_be_is_refused(shop: Path) -> None:
    done = ferriage(shop, "site", "--listen", "127.0.0.1:99999")

    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_taken_port_is_named(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ferriage(shop, "site", "--listen", f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1, port {port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_secret_key_is_noticed(shop: Path) -> None:
    (shop / "data/secret.key").write_text("another\n")

    done = ferriage(shop, "worker", "--once")

    assert done.returncode == 3
    assert "secret.key" in done.stderr


def test_worker_goes_on_to_the_next_room_when_one_fails(shop: Path) -> None:
    with closing(sqlite3.connect(shop / "data/ferriage.sqlite3")) as database:
        database.execute("DROP TABLE fleet_poolchange")
        database.execute("DROP TABLE payments_inboxevent")

    done = ferriage(shop, "worker", "--once")

    assert done.returncode == 1
    assert "no such table: fleet_poolchange" in done.stderr
    assert "no such table: payments_inboxevent" in done.stderr


def test_check_names_an_identity_provider_that_lets_nobody_in(shop: Path) -> None:
    done = ferriage(
        shop,
        "check",
        FERRIAGE_SIGN_IN_ISSUER="http://127.0.0.1:1",
        FERRIAGE_SIGN_IN_SERVICE="office",
    )

    assert done.returncode == 1
    assert "✗ nobody can sign in: there is no closed service “office”" in done.stdout
    assert "✗ The identity provider cannot be used now" in done.stdout


@pytest.mark.parametrize("name", ["permit.key", "evidence.key"])
def test_check_names_a_key_that_others_may_read(shop: Path, name: str) -> None:
    healthy = ferriage(shop, "check")
    (shop / "data" / name).chmod(0o644)

    ill = ferriage(shop, "check")

    assert (healthy.returncode, ill.returncode) == (0, 1)
    assert "chmod 600" in ill.stdout


def test_invented_pack_is_refused_on_a_public_address(shop: Path) -> None:
    with (shop / "ferriage.toml").open("a") as file:
        file.write(f'\n[approvals]\npacks = ["{demo_path()}"]\n')

    checked = ferriage(shop, "check")
    served = ferriage(shop, "site")

    assert (checked.returncode, served.returncode) == (1, 1)
    assert "invented place" in checked.stdout
    assert "invented place" in served.stderr


def test_books_of_a_new_shop_balance_and_export(shop: Path) -> None:
    checked = ferriage(shop, "ledger", "check")
    exported = ferriage(shop, "ledger", "export", "--format", "beancount")

    assert (checked.returncode, exported.returncode) == (0, 0)
    assert 'option "title"' in exported.stdout


def test_reset_of_somebody_unknown_is_refused(shop: Path) -> None:
    done = ferriage(shop, "staff", "reset", "nobody")

    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_own_device_without_a_gateway_leaves_nothing_behind(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin="SE\n\n\nHarbour AB\n\n\n\n")

    done = ferriage(shop, "device", "add", "laptop", "--mine", "--place", "SE")

    assert done.returncode == 1
    assert "No line of your plan may be used from where you are now" in done.stderr
    assert (_rows(shop, "devices_device"), _rows(shop, "plans_subscription")) == (0, 0)
    assert not (shop / "laptop.conf").exists()


@pytest.mark.parametrize(("out", "said"), [("kept.conf", "already"), ("no/where", "no directory")])
def test_own_device_is_refused_where_its_file_cannot_be_written(
    shop: Path, out: str, said: str
) -> None:
    (shop / "kept.conf").write_text("another device's key")

    done = ferriage(shop, "device", "add", "laptop", "--mine", "--out", out)

    assert (done.returncode, said in done.stderr) == (1, True)
    assert (shop / "kept.conf").read_text() == "another device's key"


def test_check_says_before_there_is_a_gateway_elsewhere_what_it_will_need(shop: Path) -> None:
    def check(host: str) -> str:
        urls = {"SITE": f"http://{host}:8000", "HUB": f"http://{host}:8001"}
        return ferriage(
            shop, "check", **{f"FERRIAGE_{name}_URL": url for name, url in urls.items()}
        ).stdout

    told = check("198.51.100.1")

    assert "up here, and from a gateway on another host not at all" in told
    assert "set site.shop_addresses" in told
    alone = check("localhost")
    assert "✓ held customers reach the shop at 10.64.0.1, port 8000, once a tunnel" in alone
