"""From the voucher to the packet: how fast the switches are, and what our rules cost.

Runs against the shop that `ferriage demo` leaves open, in namespaces, with wireguard-go. Times
are seconds; the machine is shared, so read the ratios: throughput through our rules is put
beside a bare wireguard-go tunnel between the same namespaces in the same run.

    sudo .venv/bin/python benchmarks/path.py
"""

from __future__ import annotations

import json
import re
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / part) for part in ("", "journey")]

from world import WORLD4, Newcomer, OpenShop, open_shop

from ferriage.cli.demo import spaces
from ferriage.cli.demo.browser import Browser
from support import eventually

ROUNDS = 5
IPERF_SECONDS = 4
PORT = 51999


def customer(shop: OpenShop, voucher: str, price: str = "") -> Browser:
    """Return the browser of a customer who has paid."""
    browser = Browser(shop.url)
    home = browser.get("/")
    forms = [form for form in home.forms if "/open/" in form.action]
    price = price or forms[0].choices["price"][0]
    opened = browser.submit(home, "/open/", price=price)
    order = browser.submit(opened, "/orders/", place="XD", consent="yes")
    paid = browser.submit(order, "/voucher/", code=voucher)
    assert paid.status == 200, paid.text
    return browser


def device(browser: Browser) -> tuple[str, str, float]:
    """Add a device; return its file, its public key, and when the shop was asked."""
    account = browser.get("/account/")
    began = time.time()
    page = browser.submit(account, "/devices/", name="measured")
    conf = browser.submit(page, "/file/").text
    private = re.search(r"PrivateKey = (\S+)", conf)
    assert private
    key = spaces.call("wg", "pubkey", stdin=private[1]).strip()
    return conf, key, began


class Pings:
    """A ping every 10 ms, with the instants of its answers."""

    def __init__(self, one: Newcomer, log: Path) -> None:
        self._log = log
        command = ("ping", "-n", "-D", "-i", "0.01", "-W", "1", WORLD4)
        self._process = one.space.start(*command, log=log)

    def instants(self) -> list[float]:
        """Return when answers came, as Unix time."""
        text = self._log.read_text()
        return [float(at) for at in re.findall(r"^\[([\d.]+)\] \d+ bytes from", text, re.MULTILINE)]

    def end(self) -> tuple[int, int]:
        """Return how many were sent and came back."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        match = re.search(r"(\d+) packets transmitted, (\d+) received", self._log.read_text())
        assert match
        return int(match[1]), int(match[2])


def show(name: str, values: list[float], limit: str) -> None:
    """Print median and range."""
    middle = statistics.median(values)
    print(f"{name:<46} {middle:6.3f}  ({min(values):.3f} … {max(values):.3f})  aim {limit}")


def switches(shop: OpenShop, home: Path) -> None:
    """Measure device → live, hold, renewal, and what a neighbour notices."""
    neighbour = connected(shop, home, 1)[1]
    beside = Pings(neighbour, home / "beside.log")
    live, held, opened = [], [], []
    for number in range(2, 2 + ROUNDS):
        browser, one, key, took = connected(shop, home, number)
        live.append(took)
        pings = Pings(one, home / f"pings{number}.log")
        eventually(lambda p=pings: len(p.instants()) > 20, within=5)
        at = float(shop.office("end", key, "2"))
        eventually(lambda p=pings, at=at: time.time() > at + 1 and p.instants(), within=10)
        held.append(max(0.0, pings.instants()[-1] - at))
        voucher = shop.vouchers(1)[0]
        order = browser.submit(browser.get("/account/"), "/renew/", price=month(browser))
        count, began = len(pings.instants()), time.time()
        browser.submit(order, "/voucher/", code=voucher)
        eventually(lambda p=pings, n=count: len(p.instants()) > n, within=10, every=0.005)
        opened.append(pings.instants()[count] - began)
        pings.end()
        one.close()
    sent, received = beside.end()
    neighbour.close()
    show("device asked for -> peer live on the gateway", live, "<= 2")
    show("term over -> last packet", held, "<= 1")
    show("voucher sent -> held device passes again", opened, "<= 1")
    print(f"a neighbour's ping meanwhile: {sent - received} of {sent} lost, aim 0")


def month(browser: Browser) -> str:
    """Return the code of the price that the account page renews with first."""
    page = browser.get("/account/")
    return next(form for form in page.forms if "/renew/" in form.action).choices["price"][0]


def connected(shop: OpenShop, home: Path, number: int) -> tuple[Browser, Newcomer, str, float]:
    """Return a customer with a live tunnel, its key, and seconds until the peer was live."""
    browser = customer(shop, shop.vouchers(1)[0])
    conf, key, began = device(browser)
    wait_for_peer(shop, key)
    took = time.time() - began
    one = Newcomer(shop, home, number)
    one.connect(conf)
    eventually(lambda: one.laptop.ping(WORLD4), within=15)
    return browser, one, key, took


def wait_for_peer(shop: OpenShop, key: str) -> None:
    """Wait until the gateway's interface has the peer."""
    command = ("ip", "netns", "exec", shop.gateway, "wg", "show", "all", "peers")
    eventually(lambda: key in spaces.call(*command), within=10, every=0.005)


# --- throughput -------------------------------------------------------------------------------


def throughput(shop: OpenShop, home: Path) -> None:
    """Measure TCP through our rules beside a bare tunnel, in turn."""
    fast = shop.office("fast", "1")
    conf, key, _began = device(customer(shop, fast["vouchers"][0], fast["price"]))
    wait_for_peer(shop, key)
    ours = Newcomer(shop, home, 20)
    ours.connect(conf)
    eventually(lambda: ours.laptop.ping(WORLD4), within=15)
    bare = bare_tunnel(shop, home)
    internet = shop.gateway.replace("gateway", "internet")
    server = spaces.start("ip", "netns", "exec", internet, "iperf3", "-s", log=home / "iperf.log")
    try:
        pairs = [(rate(ours), rate(bare)) for _round in range(ROUNDS)]
    finally:
        server.terminate()
        server.wait(10)
        ours.close()
        bare.close()
    ratios = [mine / plain for mine, plain in pairs]
    mine, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"TCP through our rules {mine:.2f} Gbit/s, bare wireguard-go {plain:.2f} Gbit/s")
    show("ratio", ratios, ">= 0.95")


def rate(one: Newcomer) -> float:
    """Return Gbit/s of a TCP stream from the internet to the laptop."""
    command = ("iperf3", "-c", WORLD4, "-R", "-J", "-t", str(IPERF_SECONDS))

    def measured() -> float:
        # The server says "busy" for a moment after the stream before.
        answer = json.loads(one.space.run(*command, check=False, within=60) or "{}")
        received = answer.get("end", {}).get("sum_received", {})
        assert received, answer.get("error", "no answer")
        return float(received["bits_per_second"]) / 1e9

    return eventually(measured, within=60, every=0.5)


def bare_tunnel(shop: OpenShop, home: Path) -> Newcomer:
    """Lay a tunnel over the same path with wireguard-go alone, and no rules of ours."""
    server, client = (spaces.call("wg", "genkey").strip() for _side in range(2))
    public = [spaces.call("wg", "pubkey", stdin=key).strip() for key in (server, client)]
    name = f"fd{shop.process.pid}b"
    inside = ("ip", "netns", "exec", shop.gateway)
    spaces.start(*inside, "wireguard-go", "--foreground", name, log=home / "bare.log")
    eventually((spaces.SOCKETS / f"{name}.sock").exists, within=5)
    settings = home / "bare.conf"
    settings.write_text(
        f"[Interface]\nPrivateKey = {server}\nListenPort = {PORT}\n"
        f"[Peer]\nPublicKey = {public[1]}\nAllowedIPs = 10.99.0.2/32\n"
    )
    spaces.call(*inside, "wg", "setconf", name, str(settings))
    spaces.call("ip", "-n", shop.gateway, "address", "add", "10.99.0.1/24", "dev", name)
    spaces.call("ip", "-n", shop.gateway, "link", "set", name, "up", "mtu", "1420")
    internet = shop.gateway.replace("gateway", "internet")
    way = f"{WORLD4.rpartition('.')[0]}.1"
    spaces.call("ip", "-n", internet, "route", "add", "10.99.0.0/24", "via", way)
    one = Newcomer(shop, home, 21)
    endpoint = spaces.call(*inside, "ip", "-4", "-brief", "address", "show", "dev", "customers")
    host = endpoint.split()[2].partition("/")[0]
    one.connect(
        f"[Interface]\nPrivateKey = {client}\nAddress = 10.99.0.2/32\nDNS = 10.99.0.1\n"
        f"MTU = 1280\n\n[Peer]\nPublicKey = {public[0]}\n"
        f"AllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = {host}:{PORT}\n"
    )
    eventually(lambda: one.laptop.ping(WORLD4), within=15)
    return one


def main() -> None:
    """Open a shop, measure, close it."""
    with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as directory:
        home = Path(directory)
        shop = open_shop(home / "demo")
        try:
            switches(shop, home)
            throughput(shop, home)
        finally:
            shop.close()


main()
