"""Words for how far a new gateway is; what is so comes from `fleet.newcomer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy

from ferriage.fleet.newcomer import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.utils.functional import _StrPromise

    from ferriage.fleet.newcomer import Step

REMEDIES: Final = {
    "same-release": gettext_lazy(
        "Its agent and this site are more than one minor version apart, so it was refused. "
        "Install this site's release there: make a new token, and paste the new block."
    ),
    "older-agent": gettext_lazy(
        "Its agent is one minor version behind. It runs on; upgrade it before the next release."
    ),
    "serve-line": gettext_lazy(
        "It serves nothing until it is given a line, by “Serve a line” above."
    ),
    "see-backend": gettext_lazy("The setting agent.backend asks for what this host has not."),
    "no-tun": gettext_lazy(
        "/dev/net/tun is missing there. As root: modprobe tun; a container needs it from its host."
    ),
    "no-wireguard": gettext_lazy("Install Debian's package wireguard-go there."),
    "slow-build": gettext_lazy(
        "This build is slow. A kernel with WireGuard is best; else Debian 13's wireguard-go is "
        "five times faster."
    ),
    "nat": gettext_lazy(
        "The host is behind NAT. Forward its UDP ports to it there, and let its address here be "
        "the outside one."
    ),
    "not-public": gettext_lazy(
        "It is no public address: only networks that lead to it get through. Behind NAT, forward "
        "its UDP ports to it there, and let its address here be the outside one."
    ),
    "endpoint-differs": gettext_lazy(
        "Customers' files name another address. That is right if it leads here too."
    ),
    "no-tunnel": gettext_lazy("No tunnel interface is up there; is the agent running?"),
    "no-handshake": gettext_lazy("Connect a device, or wait for the site's own try."),
    "no-answer": gettext_lazy(
        "The site tried a handshake and got no answer. Open the UDP port before the host; or UDP "
        "cannot leave the shop's own host, then a customer's device will show it."
    ),
    "port-silent": gettext_lazy(
        "These ports gave the site no answer, and others did. Open them in the firewall before the "
        "host: whoever has a file for them gets no tunnel."
    ),
    "probe-unsent": gettext_lazy(
        "The site could not send a handshake there: its name is not known here, or UDP does not "
        "leave the shop's host. The first customer's device will show it."
    ),
    "no-route": gettext_lazy(
        "Give the host a default route, or the agent.uplink that its settings name a route."
    ),
    "no-ipv6": gettext_lazy("Customers' IPv6 stays in the tunnel and is rejected; nothing leaks."),
    "accept-ra": gettext_lazy("Restart the agent there; otherwise the host loses its IPv6 router."),
    "forwarding-off": gettext_lazy("The agent turns it on: see that it runs."),
    "foreign-forward": gettext_lazy(
        "Another firewall drops what passes. Allow there what comes from and goes to our "
        "interfaces; Ferriage changes nothing of it."
    ),
    "many-connections": gettext_lazy(
        "Full, nobody can begin a connection. Raise the sysctl net.netfilter.nf_conntrack_max "
        "there; each entry takes about 400 bytes of memory."
    ),
    "other-way": gettext_lazy(
        "The host has another way into the network of customers' addresses, so what is there is "
        "not reached any more, or customers are not. Renumber that, take its route away, or let "
        "another host be the gateway."
    ),
    "resolver-silent": gettext_lazy(
        "Unbound does not answer, not even what it knows by itself; see unbound.log on the host."
    ),
    "resolver-deaf": gettext_lazy(
        "Unbound runs and gets no answer from the internet. Let UDP and TCP port 53 lead out of "
        "the host, or name a resolver that answers there in agent.resolver_upstream."
    ),
    "clock-off": gettext_lazy("Set it on the host: timedatectl set-ntp true."),
    "no-permit": gettext_lazy("The permit comes with the first batch."),
    "line-not-open": gettext_lazy("The line's page says what is missing."),
}

_STATES: Final = {
    "ok": ("✓", "tag-good", gettext_lazy("right")),
    "noted": ("!", "tag-warn", gettext_lazy("works, with a remark")),
    "failed": ("✗", "tag-bad", gettext_lazy("to be mended")),
    "unknown": ("?", "tag-warn", gettext_lazy("not known")),
    "waiting": ("○", "", gettext_lazy("waiting")),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One step as it is shown."""

    slug: str
    state: str
    title: _StrPromise
    detail: str
    remedy: _StrPromise | str
    sign: str
    tag: str
    word: _StrPromise


def rows(found: Iterable[Step], port: int) -> list[Row]:
    """Return steps in words.

    Args:
        port: The gateway's first UDP port.
    """
    return [
        Row(
            step.slug,
            step.state,
            TITLES[step.slug],
            _detail(step, port),
            REMEDIES.get(step.remedy, ""),
            *_STATES["noted" if step.state == "ok" and step.remedy else step.state],
        )
        for step in found
    ]


def _detail(step: Step, port: int) -> str:
    values = {"value": step.value, "inner": step.inner, "port": port}
    form = _FORMS.get(step.slug, _plain)(step)
    return str(form) % values if form else step.value


def _plain(_step: Step) -> _StrPromise | str:
    return ""


def _outside(step: Step) -> _StrPromise | str:
    if step.inner:
        return gettext_lazy("%(value)s, UDP %(port)s; by NAT, the host itself is %(inner)s")
    return gettext_lazy("%(value)s, UDP %(port)s") if step.value else ""


def _wireguard(step: Step) -> _StrPromise | str:
    if step.state != "ok":
        return ""
    if step.value == "kernel":
        return gettext_lazy("the kernel's, which is the fastest")
    if step.remedy:
        return gettext_lazy("%(value)s, about 0.4 Gbit/s")
    return gettext_lazy("%(value)s, about 2 Gbit/s")


def _ipv6(step: Step) -> _StrPromise | str:
    return gettext_lazy("none") if step.value == "none" else ""


def _clock(step: Step) -> _StrPromise | str:
    return gettext_lazy("%(value)s seconds off") if step.value else ""


def _identity(step: Step) -> _StrPromise | str:
    return gettext_lazy("format %(value)s") if step.state == "failed" else ""


_FORMS: Final = {
    "outside": _outside,
    "wireguard": _wireguard,
    "ipv6": _ipv6,
    "clock": _clock,
    "identity": _identity,
}
