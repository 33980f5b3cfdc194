"""The demo's own small parts; the whole demo is run by tests/journey."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
from contextlib import ExitStack
from pathlib import Path

import pytest

from ferriage.cli import demo, words
from ferriage.cli.demo.browser import Browser, Form, Page, _find, _Reader
from ferriage.cli.demo.buying import advised
from ferriage.cli.demo.lab import choose
from ferriage.cli.demo.telling import StepFailed
from ferriage.cli.words import CommandError


def test_this_machine_gets_a_network_that_it_has_no_route_to() -> None:
    at = choose("default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 scope link\n")

    assert at.shop == "198.51.100.1"
    assert {at.endpoint.rpartition(".")[0], at.world.rpartition(".")[0]} == {
        "192.0.2",
        "203.0.113",
    }


def test_second_demo_gets_addresses_beside_the_first() -> None:
    routes = "192.0.2.0/24 dev eth0\n198.51.100.0/30 dev a src 198.51.100.1\n"

    assert choose(routes).shop == "198.51.100.5"


def test_machine_that_has_all_three_networks_is_told_so() -> None:
    with pytest.raises(StepFailed, match=r"203\.0\.113"):
        choose("192.0.2.0/24 dev a\n198.51.100.0/24 dev b\n203.0.113.0/24 dev c\n")


def test_browser_reads_forms_as_a_person_would_send_them() -> None:
    reader = _Reader()
    reader.feed(
        '<form action="/a/"><input type="hidden" name="token" value="t">'
        '<select name="place"><option value="">?</option><option value="SE">S</option></select>'
        '<input type="radio" name="price" value="one" checked>'
        '<input type="radio" name="price" value="two"><input name="note"></form>'
        '<p id="number">1234 <b>5678</b></p>'
    )

    assert reader.texts == {"number": "1234 5678"}
    assert reader.forms == [
        Form(
            "/a/",
            {"token": "t", "price": "one"},
            {"token": ["t"], "place": ["", "SE"], "price": ["one", "two"], "note": [""]},
        )
    ]


def test_browser_sends_no_value_that_the_page_does_not_offer() -> None:
    page = Page(200, "http://a/", b"", (Form("/a/", {}, {"price": ["one"]}),), {})

    with pytest.raises(StepFailed, match="no form"):
        _find(page, "/a/", {"price": "two"})


_SWALLOWED = """
import os, signal, sys, weakref
from ferriage.cli import demo

class Something:
    pass

demo._end_on_signals()
something = Something()
watched = weakref.ref(something, lambda _: os.kill(os.getpid(), signal.SIGINT))
try:
    del something
    signal.pause()
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_end_that_came_while_python_swallows_exceptions_comes_again() -> None:
    done = subprocess.run([sys.executable, "-c", _SWALLOWED], check=False, timeout=30)

    assert done.returncode == 130


def _taken(stack: ExitStack) -> int:
    """Take a port with room above it, as a program on all addresses does."""
    taken = stack.enter_context(socket.create_server(("", 0)))
    port: int = taken.getsockname()[1]
    return port


def test_taken_port_is_said_with_how_to_choose_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(words, "called", lambda: ".venv/bin/ferriage")
    with ExitStack() as stack:
        wanted = _taken(stack)

        port = demo._port(wanted)

    assert port > wanted
    assert capsys.readouterr().out == (
        f"Port {wanted} or one of the two above it is taken, so the shop is at {port}. You choose "
        "another by `make demo PORT=…`, or\n  .venv/bin/ferriage demo --port PORT\n"
    )
    assert (demo._port(port), capsys.readouterr().out) == (port, "")


@pytest.mark.parametrize("wanted", [0, -1, 65_534, 100_000])
def test_port_that_is_none_is_refused(wanted: int) -> None:
    with pytest.raises(CommandError, match="is no port for --port: 1 to 65533"):
        demo._port(wanted)


def test_make_hands_the_port_to_the_demo() -> None:
    root = Path(__file__).parents[2]
    for more, words_said in (((), "demo "), (("PORT=8100",), "demo  --port 8100")):
        planned = subprocess.run(
            ["make", "-n", "--no-print-directory", "demo", *more],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert planned.stdout.splitlines()[-1].strip().endswith(words_said.strip())


def test_demo_tells_what_the_doctor_advises_and_what_to_do() -> None:
    said = "✓ one\n! WireGuard is slow\n    Install another.\n✓ two\n? three\n    Wait.\n! four\n"

    assert advised(said) == ["! WireGuard is slow", "    Install another.", "! four"]


def test_shop_that_does_not_answer_fails_in_one_line_and_is_waited_for_aloud() -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and is silent
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        browser = Browser(url, tell=told.append, patience=0.5, told_every=0.2)
        with pytest.raises(StepFailed) as failed:
            browser.get("/")

    assert str(failed.value) == (
        f"GET {url}/: no answer within 0.5 s. Is this machine very busy? Try again when it is not."
    )
    assert told[0] == f"… GET {url}/: no answer for 0.2 s yet, still waiting"


def test_shop_that_is_away_is_not_said_to_be_slow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(urllib.error.URLError, match="refused"):
        Browser(f"http://127.0.0.1:{port}").get("/")
