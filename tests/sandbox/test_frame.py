"""Payment page, control address and courier, with a provider that is nobody's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import eventually

if TYPE_CHECKING:
    from running_sandbox import Ear, RunningSandbox

HTML_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _events(ear: Ear) -> list[int]:
    return [heard.json()["number"] for heard in ear.heard]


def _signers(ear: Ear) -> list[str]:
    return [heard.headers["Signature"] for heard in ear.heard]


def test_page_says_that_it_is_play_and_escapes(sandbox: RunningSandbox) -> None:
    answer = sandbox.ask("GET", "/page/nobody/one")

    text = answer.body.decode()
    assert answer.status == 200
    assert "No real money moves here." in text
    assert "A month &amp; a day" in text
    assert "A &lt;b&gt;strange&lt;/b&gt; one" in text
    assert "<script" not in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/page/nobody/two", "/page/somebody/one"])
def test_page_of_no_bill_is_not_found(sandbox: RunningSandbox, path: str) -> None:
    assert sandbox.ask("GET", path).status == 404


def test_paying_calls_back_and_leads_to_the_shop(sandbox: RunningSandbox, ear: Ear) -> None:
    answer = sandbox.act("/page/nobody/one", "pay", means="card", place="SE")

    assert (answer.status, answer.headers["Location"]) == (303, f"{ear.url}/thanks")
    eventually(lambda: _events(ear) == [1], within=5)
    assert ear.heard[0].path == "/pay/nobody/events"
    assert _signers(ear) == ["true-secret"]


@pytest.mark.parametrize(
    ("act", "place", "status", "said"),
    [
        ("decline", "", 402, "The card was declined."),
        ("rob", "", 400, "Choose one of the buttons."),
        ("pay", "Sweden", 400, "The place is two capital letters"),
    ],
)
def test_page_says_why_nothing_was_done(
    sandbox: RunningSandbox, act: str, place: str, status: int, said: str
) -> None:
    answer = sandbox.act("/page/nobody/one", act, place=place)

    assert (answer.status, said in answer.body.decode()) == (status, True)
    assert sandbox.sent() == []


def test_form_of_another_site_is_refused(sandbox: RunningSandbox) -> None:
    headers = {**HTML_FORM, "Origin": "http://elsewhere.example"}

    answer = sandbox.ask("POST", "/page/nobody/one", b"act=pay", headers)

    assert (answer.status, sandbox.sent()) == (403, [])


def test_other_host_name_is_refused(sandbox: RunningSandbox) -> None:
    answer = sandbox.ask("GET", "/", headers={"Host": "sandbox.example"})

    assert answer.status == 421


def test_control_takes_json_alone(sandbox: RunningSandbox) -> None:
    refused = sandbox.ask("POST", "/control/nobody/event", b"", HTML_FORM)
    broken = sandbox.ask(
        "POST", "/control/nobody/event", b"{", {"Content-Type": "application/json"}
    )

    assert (refused.status, broken.status) == (415, 400)
    assert sandbox.sent() == []


def test_control_refuses_faults_that_are_none(sandbox: RunningSandbox) -> None:
    body = json.dumps({"lose": 300}).encode()

    answer = sandbox.ask("PUT", "/control/faults", body, {"Content-Type": "application/json"})

    assert (answer.status, answer.json()) == (
        400,
        {"error": "lose is a percentage from 0 to 100, not 300"},
    )
    assert sandbox.control("GET", "")["faults"]["lose"] == 0


def test_lost_callback_is_never_sent(sandbox: RunningSandbox, ear: Ear) -> None:
    sandbox.set_faults(lose=100)

    sandbox.control("POST", "/nobody/event")
    sandbox.control("POST", "/flush")

    assert sandbox.sent() == [
        {"half": "nobody", "ident": "evt_1", "kind": "paid", "fate": "lost", "status": 0}
    ]
    assert ear.heard == []


def test_doubled_callback_comes_twice(sandbox: RunningSandbox, ear: Ear) -> None:
    sandbox.set_faults(double=100)

    sandbox.control("POST", "/nobody/event")

    eventually(lambda: _events(ear) == [1, 1], within=5)


def test_reordered_callback_comes_after_the_next(sandbox: RunningSandbox, ear: Ear) -> None:
    sandbox.set_faults(reorder=100)
    sandbox.control("POST", "/nobody/event")
    sandbox.set_faults()

    sandbox.control("POST", "/nobody/event")

    eventually(lambda: _events(ear) == [2, 1], within=5)


def test_flush_sends_what_is_held_back(sandbox: RunningSandbox, ear: Ear) -> None:
    sandbox.set_faults(delay=100, delay_seconds=3600)
    sandbox.control("POST", "/nobody/event")
    sandbox.set_faults(reorder=100)
    sandbox.control("POST", "/nobody/event")
    eventually(lambda: sandbox.control("GET", "")["waiting"] == 2, within=5)

    flushed = sandbox.control("POST", "/flush")

    assert flushed == {"flushed": 2}
    eventually(lambda: sorted(_events(ear)) == [1, 2], within=5)


def test_delayed_callback_comes_by_itself(sandbox: RunningSandbox, ear: Ear) -> None:
    sandbox.set_faults(delay=100, delay_seconds=0.05)

    sandbox.control("POST", "/nobody/event")

    eventually(lambda: [row["fate"] for row in sandbox.sent()] == ["delayed"], within=5)
    assert _events(ear) == [1]


def test_forged_copy_has_another_amount_and_signer(sandbox: RunningSandbox, ear: Ear) -> None:
    sandbox.set_faults(forge=100)

    sandbox.control("POST", "/nobody/event")

    eventually(lambda: len(ear.heard) == 2, within=5)
    amounts = {heard.headers["Signature"]: heard.json()["amount"] for heard in ear.heard}
    assert amounts.pop("true-secret") == 1000
    assert list(amounts.values()) == [1]


def test_callback_that_fails_is_sent_again(sandbox: RunningSandbox, ear: Ear) -> None:
    ear.answers = [500, 404]

    sandbox.control("POST", "/nobody/event")

    eventually(lambda: [row["status"] for row in sandbox.sent()] == [500, 404, 200], within=5)
    assert _events(ear) == [1, 1, 1]


def test_callback_is_given_up_in_the_end(sandbox: RunningSandbox, ear: Ear) -> None:
    ear.answers = [500] * 9

    sandbox.control("POST", "/nobody/event")

    eventually(lambda: sandbox.control("GET", "")["waiting"] == 0, within=5)
    assert [row["status"] for row in sandbox.sent()] == [500, 500, 500]


def test_front_page_tells_what_was_called_back(sandbox: RunningSandbox) -> None:
    sandbox.control("POST", "/nobody/event")
    eventually(lambda: len(sandbox.sent()) == 1, within=5)

    text = sandbox.ask("GET", "/").body.decode()

    assert "<td>evt_1</td><td>arrives</td><td>200</td>" in text


def test_front_page_lists_payments_by_the_name_that_commands_take(sandbox: RunningSandbox) -> None:
    text = sandbox.ask("GET", "/").body.decode()

    assert "<td>Nobody</td><td><code>bill_1</code></td><td>A month &amp; a day</td>" in text


def test_terminal_says_once_that_the_shop_takes_no_callbacks_and_why(
    sandbox: RunningSandbox, ear: Ear, complaints: list[str]
) -> None:
    ear.answers = [400, 400, 200]

    sandbox.control("POST", "/nobody/event")
    eventually(lambda: len(sandbox.sent()) == 3, within=5)

    (told,) = complaints
    assert f"answered 400 to a callback at {ear.url}/pay/nobody/events" in told
    assert "site.allowed_hosts" in told
