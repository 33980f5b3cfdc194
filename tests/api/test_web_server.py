"""The web server before the shop lets through what the site takes, and waits as long as the hub."""

from __future__ import annotations

import re
from pathlib import Path

from ferriage.cli import serve
from ferriage.hub import server as hub
from ferriage.web import asgi, front

DEPLOY = Path(__file__).parents[2] / "deploy"
MIB = 1024 * 1024


def _sections() -> dict[str, str]:
    """Return what stands in each `location` of nginx, and under "" what stands before them."""
    text = (DEPLOY / "nginx.conf").read_text()
    before, *rest = re.split(r"(?m)^    location (.+) \{$", text.rpartition("\nserver {")[2])
    return {"": before, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _numbers(section: str, directive: str) -> list[int]:
    return [int(found) for found in re.findall(rf"(?m)^ +{directive}\D* (\d+)[ms]?;", section)]


def test_nginx_takes_what_the_site_takes() -> None:
    sections = _sections()

    sizes = {path: _numbers(text, "client_max_body_size") for path, text in sections.items()}
    assert {path: size for path, size in sizes.items() if size} == {
        "": [front.LARGEST_BODY // MIB],
        "/staff/": [asgi.LARGEST_UPLOAD // MIB],
    }


def test_nginx_waits_longer_than_the_hub_and_asks_less_than_the_site_holds() -> None:
    sections = _sections()

    (watch,) = (text for path, text in sections.items() if "watch" in path)
    (wait,) = _numbers(watch, "proxy_read_timeout")
    assert wait > hub.LONGEST_WAIT_SECONDS
    (most,) = _numbers(sections[""], "limit_conn shop_all")
    assert most < serve.WORKERS * serve.MOST_CONNECTIONS


def test_only_gateways_calls_carry_an_address() -> None:
    sections = _sections()

    named = [path for path, text in sections.items() if "$remote_addr" in text]
    assert named == ["/gateway/"]
    assert 'proxy_set_header X-Forwarded-For "";' in sections[""]
    # Below a location that sets a header of its own nothing is taken over from above.
    assert "proxy_set_header Host $host;" in sections["/gateway/"]
