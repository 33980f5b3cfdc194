"""What a newcomer types and answers, as `init` and the documents print it."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Final

import pytest

from ferriage.cli import words
from ferriage.wire import new_private_key
from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path

PLACES: Final = "SE\n\n\nHarbour AB\n\n"
CONCLUSION: Final = (
    "We read the act and find that no permission is asked for.\nThe act that we read\n"
    "chapter 2, section 1\n2026-11-01\nOlga Harbour\nyes\n"
)
OPENED: Final = f"{PLACES}\n\n{CONCLUSION * 4}"
"""For the shop of the fixture, whose settings are written: name and bank are not asked."""


def _query(directory: Path, sql: str, *values: str) -> list[tuple[object, ...]]:
    path = directory / "data/ferriage.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        return database.execute(sql, values).fetchall()


def _serve(directory: Path) -> str:
    """Record a gateway on the shop's line as if its host had enrolled, and return the line."""
    [(line,)] = _query(directory, "SELECT code FROM fleet_line")
    code = str(line)
    done = ferriage(directory, "gateway", "add", "one", "--place", "SE", "--line", code)
    assert done.returncode == 0, done.stderr
    _query(
        directory,
        "UPDATE fleet_gateway SET state = 'active', endpoint_host = '192.0.2.7', wireguard_key = ?",
        new_private_key(),
    )
    return code


# --- what init asks ---------------------------------------------------------------------------


def test_wrong_answer_is_asked_again_with_the_reason(shop: Path) -> None:
    answers = "Sweden\nSE\nXD\n\nSE, de NO\nHarbour AB\n\nkronor\nsek\n1,2,3\n10, 50, 90, 1.5\n"

    done = ferriage(shop, "init", "--local", stdin=answers)

    assert done.returncode == 0, done.stderr
    assert "“Sweden” is not an ISO 3166 code" in done.stdout
    assert "XD is a code that no country has" in done.stdout
    assert "“kronor” is not an ISO 4217 code" in done.stdout
    assert "“1,2,3” is not four amounts" in done.stdout
    sold = _query(shop, "SELECT enter_place, exit_place, sell_places FROM fleet_line")
    assert sold == [("SE", "SE", '["DE", "NO", "SE"]')]
    prices = _query(shop, "SELECT amount_minor, currency FROM plans_price LIMIT 4")
    assert prices == [(1000, "SEK"), (5000, "SEK"), (9000, "SEK"), (150, "SEK")]


def test_answers_that_end_too_early_leave_nothing_behind(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "init", "--local", stdin="Sweden\n")

    assert done.returncode == 2
    assert "No answer to: Where do your gateways stand" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("place", "currency"), [("SE", "SEK"), ("CN", "CNY"), ("DE-BY", "EUR")])
def test_currency_offered_is_that_of_the_sellers_place(
    tmp_path: Path, place: str, currency: str
) -> None:
    done = ferriage(tmp_path, "init", "--local", stdin=f"{place}\n\n\nHarbour\n\n")

    assert f"Which currency? [{currency}]" in done.stdout
    assert _query(tmp_path, "SELECT DISTINCT currency FROM plans_price") == [(currency,)]


def test_currency_of_a_place_without_a_pack_is_not_guessed(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "init", "--local", stdin="NO\n\n\nHarbour\n\n")

    assert done.returncode == 2
    assert "No answer to: Which currency?" in done.stderr


def test_name_and_bank_details_are_asked_for(tmp_path: Path) -> None:
    done = ferriage(
        tmp_path, "init", "--local", stdin=f"{PLACES}\n\nHarbour ferry\nOur bank, account 1\n"
    )

    assert done.returncode == 0, done.stderr
    settings = tomllib.loads((tmp_path / "ferriage.toml").read_text())
    assert settings["site"]["name"] == "Harbour ferry"
    assert settings["shop"]["bank_details"] == "Our bank, account 1"
    assert "nobody can pay" not in done.stdout


def test_shop_without_bank_details_says_that_nobody_can_pay(tmp_path: Path) -> None:
    done = ferriage(tmp_path, "init", "--local", stdin=f"{PLACES}\n\n\n\n")

    assert "nobody can pay before shop.bank_details" in done.stdout
    assert "bank_details" not in (tmp_path / "ferriage.toml").read_text()


def test_init_says_what_it_made_to_sell(shop: Path) -> None:
    done = ferriage(shop, "init", "--local", stdin=f"{PLACES}\n\n")

    assert "made 2 services to sell, “Home” and “Travel”" in done.stdout
    assert "withdrawn on its page" in done.stdout


def test_second_question_offers_source_day_and_name_but_no_conclusion(shop: Path) -> None:
    again = "It says nothing of traffic either.\n\nchapter 2, section 2\n\n\nyes\n"

    done = ferriage(shop, "init", "--local", stdin=f"{PLACES}\n\n{CONCLUSION}{again}")

    assert "Which source did you read (title)? [The act that we read]" in done.stdout
    assert "in your own words: [" not in done.stdout
    rows = _query(
        shop,
        "SELECT reasoning, source_title, source_clause, source_read_on, author_name"
        " FROM approvals_determination ORDER BY id",
    )
    assert rows == [
        (
            "We read the act and find that no permission is asked for.",
            "The act that we read",
            "chapter 2, section 1",
            "2026-11-01",
            "Olga Harbour",
        ),
        (
            "It says nothing of traffic either.",
            "The act that we read",
            "chapter 2, section 2",
            "2026-11-01",
            "Olga Harbour",
        ),
    ]


def test_statement_is_made_anew_for_each_question(shop: Path) -> None:
    unsaid = "It says nothing of traffic either.\n\n\n\n\n\n"

    done = ferriage(shop, "init", "--local", stdin=f"{PLACES}\n\n{CONCLUSION}{unsaid}")

    assert "not recorded" in done.stdout
    assert _query(shop, "SELECT count(*) FROM approvals_determination") == [(1,)]


# --- the operator's own device ----------------------------------------------------------------


def test_own_device_of_a_new_shop_needs_neither_plan_nor_place(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)
    _serve(shop)

    done = ferriage(shop, "device", "add", "laptop", "--mine")
    second = ferriage(shop, "device", "add", "phone", "--mine")

    assert (done.returncode, second.returncode) == (0, 0), done.stderr + second.stderr
    assert "Takes the plan Home; all lead the same way. Another one by --plan." in done.stdout
    assert "taken to be in SE, where Harbour AB sits. Another place by --place." in done.stdout
    assert second.stdout == "wrote phone.conf\nwrote phone.png\n"
    assert "Endpoint = 192.0.2.7:51820\n" in (shop / "laptop.conf").read_text()
    assert _query(shop, "SELECT count(*) FROM plans_subscription") == [(1,)]


def test_own_device_takes_a_plan_that_is_named(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)
    _serve(shop)
    [(plan,)] = _query(shop, "SELECT code FROM plans_plan WHERE name = 'Travel'")

    done = ferriage(shop, "device", "add", "laptop", "--mine", "--plan", str(plan))
    wrong = ferriage(shop, "device", "add", "other", "--mine", "--plan", "pln_NONE")

    assert done.returncode == 0, done.stderr
    held = "SELECT name FROM plans_subscription JOIN plans_plan p ON p.id = plan_id"
    assert _query(shop, held) == [("Travel",)]
    assert wrong.returncode == 1
    assert "There is no plan pln_NONE for --plan." in wrong.stderr
    assert str(plan) in wrong.stderr


def test_own_device_that_the_register_refuses_names_place_and_question(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)
    line = _serve(shop)

    done = ferriage(shop, "device", "add", "laptop", "--mine", "--place", "de")

    assert done.returncode == 1
    assert "For a person in DE: " in done.stderr
    assert "say where with --place" in done.stderr
    assert f"approvals explain --line {line} --customer DE" in done.stderr
    assert _query(shop, "SELECT count(*) FROM accounts_account") == [(0,)]


def test_own_device_is_not_added_at_a_place_that_is_none(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)

    done = ferriage(shop, "device", "add", "laptop", "--mine", "--place", "Sweden")

    assert done.returncode == 1
    assert "not an ISO 3166 code for --place" in done.stderr


def test_own_device_before_a_gateway_says_how_to_add_one(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)

    none = ferriage(shop, "device", "add", "laptop", "--mine")
    line = _serve(shop)
    _query(shop, "UPDATE fleet_gateway SET state = 'waiting'")
    waiting = ferriage(shop, "device", "add", "laptop", "--mine")

    assert (none.returncode, waiting.returncode) == (1, 1)
    assert f"gateway add NAME --place SE --line {line}" in none.stderr
    assert "The gateway one waits for its host" in waiting.stderr
    assert not (shop / "laptop.conf").exists()


# --- what check says --------------------------------------------------------------------------


def test_check_says_what_a_new_shop_lacks_and_is_not_broken(shop: Path) -> None:
    done = ferriage(shop, "check")

    assert done.returncode == 0, done.stdout
    warned = [line for line in done.stdout.splitlines() if line.startswith("! ")]
    # Who keeps a container's clock right is not known in it.
    open_points = [line for line in warned if not line.startswith("! the clock")]
    assert open_points == [
        "! A seller: not yet",
        "! A line that the register allows: not yet",
        "! Prices: not yet",
        "! A way to be paid: not yet",
        "! A gateway that reports: not yet",
        "! Your own device, on a gateway: not yet",
    ]
    assert "    https://shop.se/staff/payments/ (Payments)\n" in done.stdout


def test_check_ticks_what_is_there_and_warns_of_gateways_nobody_reaches(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)
    _serve(shop)
    ferriage(shop, "gateway", "add", "two", "--place", "SE")

    done = ferriage(shop, "check", FERRIAGE_SITE_SHOP_ADDRESSES="192.0.2.9")

    assert done.returncode == 0, done.stdout
    assert "✓ A seller: Harbour AB\n✓ A line that the register allows: Open: SE – SE" in done.stdout
    assert "! customers' files of gateway one name 192.0.2.7, which is no public" in done.stdout
    assert "! nobody has said where tunnels reach gateway two\n" in done.stdout


def test_check_names_a_port_that_another_program_holds(shop: Path) -> None:
    # Bound and not listening: who is asked there is refused at once.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        site = ferriage(shop, "check", FERRIAGE_SITE_LISTEN=listen)
        hub = ferriage(shop, "check", FERRIAGE_HUB_LISTEN=listen)

    assert (site.returncode, hub.returncode) == (1, 1)
    said = f"✗ cannot listen on {listen}: Address already in use\n    End the program that listens"
    assert said in site.stdout
    assert f"{said} there, or change hub.listen" in hub.stdout


def test_list_names_the_codes_that_other_commands_ask_for(shop: Path) -> None:
    empty = ferriage(shop, "list")
    ferriage(shop, "init", "--local", stdin=f"{PLACES}\n\n")
    ferriage(shop, "gateway", "add", "one", "--place", "SE")
    [(line,)] = _query(shop, "SELECT code FROM fleet_line")
    plans = [str(code) for (code,) in _query(shop, "SELECT code FROM plans_plan ORDER BY id")]
    [(gateway,)] = _query(shop, "SELECT code FROM fleet_gateway")

    done = ferriage(shop, "list")

    assert empty.stdout == "Lines: none\nPlans: none\nGateways: none\n"
    assert done.stdout == (
        f"Lines:\n  {line}  SE – SE  planned  SE → SE, sold in SE\n"
        f"Plans:\n  {plans[0]}  Home    of Home\n  {plans[1]}  Travel  of Travel\n"
        f"Gateways:\n  {gateway}  one  waiting for its agent  SE  no address yet, UDP 51820\n"
    )


# --- gateways ---------------------------------------------------------------------------------


def test_gateway_added_without_an_endpoint_says_what_files_will_name(shop: Path) -> None:
    without = ferriage(shop, "gateway", "add", "one", "--place", "SE")
    given = ferriage(
        shop, "gateway", "add", "two", "--place", "SE", "--endpoint-host", "vpn.example"
    )

    assert "add --endpoint-host and the name or address" in without.stdout
    assert "--endpoint-host" not in given.stdout


def test_gateway_that_cannot_serve_the_line_is_not_recorded(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=f"{PLACES}\n\n")
    [(line,)] = _query(shop, "SELECT code FROM fleet_line")

    elsewhere = ferriage(shop, "gateway", "add", "one", "--place", "DE", "--line", str(line))
    unknown = ferriage(shop, "gateway", "add", "one", "--place", "SE", "--line", "ln_NONE")

    assert (elsewhere.returncode, unknown.returncode) == (1, 1)
    assert "The line enters at SE" in elsewhere.stderr
    assert "There is no line ln_NONE." in unknown.stderr
    assert _query(shop, "SELECT count(*) FROM fleet_gateway") == [(0,)]


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("vpn.example", "vpn.example", 51820),
        ("vpn.example:443", "vpn.example", 443),
        ("2001:db8::7", "2001:db8::7", 51820),
        ("[2001:db8::7]:443", "2001:db8::7", 443),
    ],
)
def test_endpoint_is_corrected(shop: Path, typed: str, host: str, port: int) -> None:
    ferriage(shop, "init", "--local", stdin=OPENED)
    _serve(shop)

    done = ferriage(shop, "gateway", "endpoint", "one", typed)

    assert done.returncode == 0, done.stderr
    assert f"Tunnels reach one at {host}, UDP {port}." in done.stdout
    assert "Files that were handed out name the old address." in done.stdout
    assert _query(shop, "SELECT endpoint_host, endpoint_port FROM fleet_gateway") == [(host, port)]
    assert _query(shop, "SELECT listen_port FROM fleet_poolgateway") == [(port,)]

    again = ferriage(shop, "gateway", "endpoint", "one", typed)
    assert again.stdout.splitlines()[1:] == ["That is where they did before."]


@pytest.mark.parametrize(
    ("name", "typed", "said", "code"),
    [
        ("two", "vpn.example", "There is no gateway “two”. There are: one.", 1),
        ("one", "127.0.0.1", "is not a host name or address that a customer's device", 1),
        ("one", "vpn.example:http", "“http” is not a port.", 2),
        ("one", "vpn.example:0", "The port is not one", 1),
    ],
)
def test_endpoint_that_cannot_be_is_refused(
    shop: Path, name: str, typed: str, said: str, code: int
) -> None:
    ferriage(shop, "gateway", "add", "one", "--place", "SE")

    done = ferriage(shop, "gateway", "endpoint", name, typed)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert _query(shop, "SELECT endpoint_host FROM fleet_gateway") == [("",)]


# --- how it was called ------------------------------------------------------------------------


def test_commands_are_printed_as_they_were_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / ".venv/bin/ferriage"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".venv/bin/ferriage"])

    assert words.called.__wrapped__() == ".venv/bin/ferriage"
    monkeypatch.chdir(program.parent)
    monkeypatch.setattr(sys, "argv", ["./ferriage"])
    assert words.called.__wrapped__() == "./ferriage"
    monkeypatch.chdir("/usr")
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert words.called.__wrapped__() == str(program)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    assert words.called.__wrapped__() == "ferriage"


def test_what_is_exported_is_not_respelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(words, "called", lambda: "bin/ferriage")

    words.say("`ferriage up`")
    words.tell("`ferriage up`")

    assert capsys.readouterr().out == "`ferriage up`\n`bin/ferriage up`\n"


def test_only_commands_are_respelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "called", lambda: "bin/ferriage")

    said = (
        "Run `ferriage up`.\n  ferriage check\nferriage does it. Here: ferriage list\nferriage: so"
    )
    assert words.as_called(said) == (
        "Run `bin/ferriage up`.\n  bin/ferriage check\nferriage does it. Here: bin/ferriage list\n"
        "ferriage: so"
    )


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (("--help",), "  {}ferriage init --local "),
        (("gateway", "add", "--help"), "  {}ferriage gateway add one --place SE"),
    ],
)
def test_examples_of_help_are_spelled_as_it_was_called(
    tmp_path: Path, arguments: tuple[str, ...], example: str
) -> None:
    program = tmp_path / ".venv/bin/ferriage"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\nfrom ferriage.cli import main\nraise SystemExit(main())"
    )
    program.chmod(0o755)

    done = subprocess.run(
        [".venv/bin/ferriage", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"\n{example.format('.venv/bin/')}" in done.stdout


def test_hub_that_cannot_start_names_commands_as_they_are_typed(shop: Path) -> None:
    (shop / "data/ferriage.sqlite3").unlink()

    done = ferriage(shop, "hub")

    assert done.returncode == 1
    assert "/ferriage init` makes it" in done.stderr


def test_own_device_that_check_lacks_is_a_command_to_type(shop: Path) -> None:
    said = ferriage(shop, "check").stdout

    assert re.search(r"/ferriage --config \S+ device add NAME --mine\n", said)
