from __future__ import annotations

import msgspec
import pytest

import feed
from ferriage import wire
from ferriage.agent import hold, resolver
from ferriage.agent.feed import Pool
from ferriage.agent.holdfile import Content, Entry, Head, HeldDevice, Line
from ferriage.agent.holdpage import View, render
from ferriage.config import AgentConfig

NOW = 1_772_366_400
REASON = {"en": "Closed by order.", "zh-hans": "已按要求关闭。"}
SHOP = "https://shop.example"
OPEN = {
    "10.64.0.2": HeldDevice(NOW - 60, "term", "en"),
    "10.64.0.3": HeldDevice(NOW + 60, "term", "zh-hans"),
    "fd64::2": HeldDevice(NOW - 60, "quota", "zh-hans"),
}
CLOSED = {
    "10.64.0.2": HeldDevice(NOW - 60, "term", "en"),
    "10.64.0.4": HeldDevice(NOW - 60, "staff", "en"),
}
HEAD = Head(
    listen=("10.64.0.1",),
    lines={"fer0": Line(NOW + 86400, REASON, SHOP), "fer1": Line(0, REASON, SHOP)},
)


def _content(head: Head = HEAD) -> Content:
    content = Content()
    content.take([msgspec.json.encode(head)])
    for interface, devices in (("fer0", OPEN), ("fer1", CLOSED)):
        content.take(msgspec.json.encode(Entry(interface, *held)) for held in devices.items())
    return content


FILE = _content()


def _view(address: str, wish: str = "", *, interface: str = "fer0", file: Content = FILE) -> View:
    return hold.view(file, interface, address, accept_language=wish, now=NOW)


@pytest.mark.parametrize(
    ("interface", "address", "reason"),
    [
        ("fer0", "10.64.0.2", "term"),
        ("fer0", "::ffff:10.64.0.2", "term"),
        ("fer0", "10.64.0.3", "open"),
        ("fer0", "fd64::2", "quota"),
        ("fer0", "10.64.0.4", "unknown"),
        ("fer1", "10.64.0.2", "line"),
        ("fer1", "10.64.0.4", "line"),
        ("fer2", "10.64.0.2", "unknown"),
    ],
)
def test_page_says_why_on_the_line_it_is_asked_by(
    interface: str, address: str, reason: str
) -> None:
    assert _view(address, interface=interface).reason == reason


@pytest.mark.parametrize(
    ("wish", "language"),
    [
        ("", "zh-hans"),
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("sv,en", "en"),
    ],
)
def test_browser_chooses_the_language_before_the_device(wish: str, language: str) -> None:
    assert _view("fd64::2", wish).language == language


def test_ended_term_names_the_end_and_the_shop() -> None:
    page = render(_view("10.64.0.2", "en"))

    assert "2026-03-01 11:59 UTC" in page
    assert '<a href="https://shop.example">Renew in the shop</a>' in page


def test_closed_line_tells_the_permits_reason_in_the_readers_language() -> None:
    page = render(_view("10.64.0.4", "zh", interface="fer1"))

    assert "已按要求关闭。" in page


@pytest.mark.parametrize(
    ("wish", "label", "still"),
    [("en", "See your choices", "your days stand still"), ("zh", "查看您的选择", "暂停计算")],
)
def test_held_line_leads_to_the_three_choices_of_the_shop(
    wish: str, label: str, still: str
) -> None:
    page = render(_view("10.64.0.4", wish, interface="fer1"))

    assert f'<a href="https://shop.example/held/">{label}</a>' in page
    assert still in page
    assert "Paid until" not in page


def test_device_that_the_register_holds_leads_there_too() -> None:
    file = _content(Head(lines={"fer1": Line(NOW + 86400, {}, "https://shop.example/")}))

    page = render(_view("10.64.0.4", "en", interface="fer1", file=file))

    assert '<a href="https://shop.example/held/">See your choices</a>' in page


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("en", "What this line rests on ended at 2026-03-01 12:00 UTC."),
        ("zh", "该线路所依据的许可已于 2026-03-01 12:00 UTC 终止。"),
    ],
)
def test_line_that_ran_out_by_itself_says_when(wish: str, said: str) -> None:
    """Its permit was open and has no reason; with the site dead nobody wrote another."""
    file = _content(Head(lines={"fer1": Line(NOW, {}, SHOP)}))

    assert said in render(_view("10.64.0.4", wish, interface="fer1", file=file))


def test_text_of_a_permit_cannot_bring_markup() -> None:
    file = _content(Head(lines={"fer1": Line(0, {"en": "<script>"}, "x")}))

    page = render(_view("10.64.0.4", "en", interface="fer1", file=file))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def _unbound(url: str, upstream: tuple[str, ...] = ()) -> str:
    pool = Pool(feed.ASSIGNMENT)
    pool.permit = wire.Permit(
        line=feed.ASSIGNMENT.line,
        serial=1,
        state="open",
        open_until=NOW,
        decision=1,
        reason={},
        shop=msgspec.structs.replace(feed.SHOP, url=url),
    )
    settings = AgentConfig(run_dir="/run/x", resolver_upstream=upstream)
    return resolver.config_text(settings, [pool], user="unbound", anchor=True)


def test_resolver_listens_inside_only_and_knows_the_shop() -> None:
    text = _unbound("https://shop.example/")

    listens = [line.split()[1] for line in text.splitlines() if " interface: " in line]
    assert listens == ["10.64.0.1@53", "10.64.0.1@5354", "fd64::1@53", "fd64::1@5354"]
    assert text.count("local-data: 'shop.example. 60 IN A 192.0.2.10'") == 2
    assert "log-queries: no" in text
    assert "forward-zone" not in text


def test_resolver_with_an_upstream_forwards() -> None:
    text = _unbound("http://192.0.2.10:8000", ("203.0.113.9",))

    assert "    forward-addr: 203.0.113.9\n" in text
    assert "local-data" not in text
