"""The fixed rules of a gateway, as text for nft. Only set elements change after the start.

How a packet of a customer goes:

    from the tunnel:  mark (slot in its inner address) → redirect (DNS, hold page) → up → count_up
    to the tunnel:    mark → down → count_dl

A mark says nothing by itself: any address of the inner network makes one. What has no record has
no element under it, and passes nowhere, not even to the gateway.

Hold is absence from `open` and `open_routes`, or from `lines`; they are asked before anything about
established flows, so an element's time-out cuts running flows by itself. Real DNS is asked about at
every packet too, since a flow keeps the port it was first sent to; a held device has it by UDP
only, where a packet is one question and can be counted. A device in `open` reaches the internet,
one in `open_routes` what `routes4` and `routes6` list for it; no device is in both. The only
`accept` outwards is the one that counts, of what a limit lets pass. A packet of no connection goes
nowhere: not being translated it would leave under its inner address. How many connections a device
has is asked at the first packet of each, before the kernel keeps anything of it. Each question
costs every packet, so what most packets need is asked first, and nothing twice. Verdicts here bind
nobody else's tables: what another table drops stays dropped.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from ferriage.agent import plane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ferriage.agent.slots import Inner

WAY_MARK: Final = 0x0FE10000
"""A connection's mark is this plus the number of the interface it came in by: all pools share the
gateway's inner network, so an address alone does not say which tunnel an answer goes into."""

SPARE_PORTS: Final = "61000-65535"
"""Where a customer's flow from a tunnel's own port goes out: answers to that are the tunnel's."""

MOST_FLOWS: Final = 4096
"""Connections of one device at a time. The kernel's table of them is everybody's, and full it lets
nobody begin one."""
FLOWS_A_SECOND: Final = 500
"""Connections that a device may begin, after a burst of as many as it may have. The kernel forgets
ended ones of a full set slower than a flood would bring new ones, and keeps them in memory."""
_MOST_MARKS: Final = 1 << 20
"""Devices that have connections: more than the kernel's table has entries, so none goes unbound."""
OF_PACKETS: Final = ("held_dns", "beginning", "flows")
"""Sets that packets fill, and no agent."""

HELD_DNS_PORT: Final = 5354
"""Where the resolver answers only the shop's names: to a line that is not open, to TCP in hold."""

_DENIED4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # by which Azure speaks to the host itself
    )
)


def _translated(network: ipaddress.IPv4Network) -> tuple[ipaddress.IPv6Network, ...]:
    """Return where a translator beyond the gateway would find an IPv4 network: NAT64 and 6to4."""
    inside, length = int(network.network_address), network.prefixlen
    return (
        ipaddress.IPv6Network((0x64FF9B << 96 | inside, 96 + length)),
        ipaddress.IPv6Network((0x2002 << 112 | inside << 80, 16 + length)),
    )


_DENIED6: Final = (
    *(
        ipaddress.IPv6Network(network)
        for network in (
            *("::/96", "::ffff:0:0/96", "64:ff9b:1::/48"),
            *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
        )
    ),
    *(translated for network in _DENIED4 for translated in _translated(network)),
)

_TABLES: Final = """
table inet {table} {{
    comment "{comment}"
    set inner {{ type ifname; }}
    map way {{ type ifname : mark; }}
    set uplink {{ type ifname; }}
    set wgport {{ type inet_service; }}
    set lines {{ type ifname; flags timeout; }}
    set open {{ type ifname . mark; flags timeout; }}
    set open_routes {{ type ifname . mark; flags timeout; }}
    set routes4 {{ type mark . ipv4_addr; flags interval; }}
    set routes6 {{ type mark . ipv6_addr; flags interval; }}
    set cap_up {{ type mark; limit rate 1000 bytes/second burst 1000 bytes; }}
    set cap_dl {{ type mark; limit rate 1000 bytes/second burst 1000 bytes; }}
    set use_up {{ type mark; counter; }}
    set use_dl {{ type mark; counter; }}
    set shop4 {{ type ipv4_addr . inet_service; }}
    set shop6 {{ type ipv6_addr . inet_service; }}
    set held_dns {{ type mark; flags dynamic,timeout; timeout 1m; size 65535; }}
    set beginning {{ type mark; flags dynamic,timeout; timeout 1m; size {most_marks}; }}
    set flows {{ type mark; flags dynamic; size {most_marks}; }}
    chain raw_in {{ type filter hook prerouting priority raw; policy accept; }}
    chain raw_out {{ type filter hook output priority raw; policy accept; }}
    chain slots {{ type filter hook prerouting priority mangle; policy accept; }}
    chain answers {{ type route hook output priority mangle; policy accept; }}
    chain steer {{ type nat hook prerouting priority dstnat; policy accept; }}
    chain nat_out {{ type nat hook postrouting priority srcnat; policy accept; }}
    chain to_gateway {{ type filter hook input priority filter; policy accept; }}
    chain through {{ type filter hook forward priority filter; policy accept; }}
    chain slots_up {{ }}
    chain steer_open {{ }}
    chain served {{ }}
    chain dns_up {{ }}
    chain held_dns_up {{ }}
    chain up {{ }}
    chain up_world {{ }}
    chain up_routes {{ }}
    chain count_up {{ }}
    chain down {{ }}
    chain count_dl {{ }}
    chain refused {{ }}
    chain begin {{ }}
}}
table inet {table}_guard {{
    comment "keeps the tunnels closed while table {table} is not there to mark their packets"
    set inner {{ type ifname; }}
    chain through {{ type filter hook forward priority filter + 10; policy accept; }}
}}
flush table inet {table}
flush table inet {table}_guard
table inet {table} {{
    chain raw_in {{
        udp dport @wgport fib daddr type local notrack
    }}
    chain raw_out {{
        udp sport @wgport notrack
    }}
    chain slots {{
        iifname @inner goto slots_up
        ct mark and 0xffff0000 == {way_mark} meta mark set ct mark
    }}
    chain slots_up {{
        ct state invalid drop
        meta mark set 0
{slots_of_source}
        meta mark 0 drop
        ct state new goto begin
    }}
    chain begin {{
        ct mark set iifname map @way
        ct status & confirmed == confirmed return
        add @beginning {{ meta mark limit rate over {pace}/second burst {flows} packets }} drop
        add @flows {{ meta mark ct count over {flows} }} drop
    }}
    chain answers {{
        ct mark and 0xffff0000 == {way_mark} meta mark set ct mark
    }}
    chain steer {{
        iifname != @inner return
        ip daddr . tcp dport @shop4 return
        ip6 daddr . tcp dport @shop6 return
        iifname @lines iifname . meta mark @open goto steer_open
        iifname @lines iifname . meta mark @open_routes goto steer_open
        iifname @lines udp dport 53 redirect to :53
        meta l4proto {{ tcp, udp }} th dport 53 redirect to :{held_dns_port}
        tcp dport 80 redirect to :{hold_port}
    }}
    chain steer_open {{
        meta l4proto {{ tcp, udp }} th dport 53 redirect to :53
    }}
    chain nat_out {{
        iifname @inner oifname != @inner udp sport @wgport masquerade to :{spare_ports} random
        iifname @inner oifname != @inner masquerade
    }}
    chain to_gateway {{
        iifname != @inner return
        meta mark @cap_up goto served
        drop
    }}
    chain served {{
        ip daddr . tcp dport @shop4 accept
        ip6 daddr . tcp dport @shop6 accept
        meta l4proto {{ tcp, udp }} th dport 53 jump dns_up
        iifname @lines udp dport 53 goto held_dns_up
        udp dport {held_dns_port} goto held_dns_up
        tcp dport {held_dns_port} accept
        tcp dport {hold_port} accept
        icmp type echo-request accept
        icmpv6 type echo-request accept
        meta l4proto {{ icmp, ipv6-icmp }} ct state established,related accept
        goto refused
    }}
    chain dns_up {{
        iifname @lines iifname . meta mark @open accept
        iifname @lines iifname . meta mark @open_routes accept
    }}
    chain held_dns_up {{
        add @held_dns {{ meta mark limit rate over 5/second burst 20 packets }} drop
        accept
    }}
    chain through {{
        iifname @inner goto up
        oifname @inner goto down
    }}
    chain up {{
        oifname @inner goto refused
        tcp flags syn / syn,rst tcp option maxseg size set rt mtu
        ip daddr . tcp dport @shop4 goto count_up
        ip6 daddr . tcp dport @shop6 goto count_up
        iifname @lines iifname . meta mark @open goto up_world
        iifname @lines iifname . meta mark @open_routes goto up_routes
        goto refused
    }}
    chain up_routes {{
        meta mark . ip daddr @routes4 goto count_up
        meta mark . ip6 daddr @routes6 goto count_up
        goto refused
    }}
    chain up_world {{
{allowed}
        ip daddr {{ {denied4} }} goto refused
        ip6 daddr {{ {denied6} }} goto refused
        tcp dport 25 goto refused
        oifname != @uplink goto refused
        goto count_up
    }}
    chain count_up {{
        meta mark @cap_up meta mark @use_up accept
        drop
    }}
    chain down {{
        tcp flags syn / syn,rst tcp option maxseg size set rt mtu
        meta mark set 0
{slots_of_target}
        oifname @lines oifname . meta mark @open ct state established,related goto count_dl
        oifname @lines oifname . meta mark @open_routes ct state established,related goto count_dl
        ip saddr . tcp sport @shop4 ct state established goto count_dl
        ip6 saddr . tcp sport @shop6 ct state established goto count_dl
        drop
    }}
    chain count_dl {{
        meta mark @cap_dl meta mark @use_dl accept
        drop
    }}
    chain refused {{
        meta l4proto tcp reject with tcp reset
        reject with icmpx admin-prohibited
    }}
{slot_chains}
}}
table inet {table}_guard {{
    chain through {{
        meta mark 0 iifname @inner drop
        meta mark 0 oifname @inner drop
    }}
}}
"""


_LAST_BITS: Final = {
    "saddr": {"ip": 96, "ip6": 160},
    "daddr": {"ip": 128, "ip6": 288},
}
"""Where the last 32 bits of an address begin in the header, in bits."""


def text(
    *,
    table: str,
    comment: str,
    hold_port: int,
    allow_networks: Iterable[str],
    inner: Iterable[Inner],
) -> str:
    """Return the whole layout; loading it again refills the rules and keeps every element.

    Args:
        comment: Which life of the counters this table is; kept by nft only when it makes the
            table, so reading it back tells an adopted table from a new one.
        inner: The inner networks in which devices have their slots.
    """
    inner = sorted(set(inner))
    return _TABLES.format(
        table=table,
        comment=comment,
        hold_port=hold_port,
        held_dns_port=HELD_DNS_PORT,
        spare_ports=SPARE_PORTS,
        flows=MOST_FLOWS,
        pace=FLOWS_A_SECOND,
        most_marks=_MOST_MARKS,
        way_mark=f"{WAY_MARK:#010x}",
        slots_of_source="\n".join(_to_slots(inner, "saddr")),
        slots_of_target="\n".join(_to_slots(inner, "daddr")),
        slot_chains="\n".join(_slot_chains(inner)),
        allowed="\n".join(_allow(network) for network in allow_networks),
        denied4=", ".join(map(str, _DENIED4)),
        denied6=", ".join(map(str, _DENIED6)),
    )


def retire(table: str, sets: Mapping[str, str]) -> str:
    """Return what goes before the layout where the table is of another release's; else no text.

    Of such a table only the counters are taken over. A set of the same name may mean something
    else there, so all others are made anew, in the transaction that loads the rules: a gateway is
    closed until its elements are in.

    Args:
        sets: The sets that the table has, each with its kind: set or map.
    """
    if sets.keys() <= {*plane.SETS, *OF_PACKETS}:
        return ""
    gone = "".join(
        f"delete {kind} inet {table} {name}\n"
        for name, kind in sets.items()
        if name not in plane.USE
    )
    return f"flush table inet {table}\n{gone}"


def _to_slots(inner: Iterable[Inner], field: str) -> Iterator[str]:
    """Yield the rules that give a packet the slot in its address as its mark."""
    for each in inner:
        yield f"        ip {field} {each.four} jump {_chain('ip', field, each)}"
        yield f"        ip6 {field} {each.six} jump {_chain('ip6', field, each)}"


def _slot_chains(inner: Iterable[Inner]) -> Iterator[str]:
    """Yield the chains for it.

    All versions of nft take bytes of a header as they are, and turn them into a number of this host
    before they shift them. They stand in chains of their own since beside `ip saddr` nft would
    list them as an address, which older versions then do not read again.
    """
    for each in inner:
        for field, places in _LAST_BITS.items():
            for family, at in places.items():
                shifted = f"@nh,{at},32 << {each.shift} >> {each.shift}"
                yield f"    chain {_chain(family, field, each)} {{"
                yield f"        meta mark set {shifted}"
                yield "    }"


def _chain(family: str, field: str, inner: Inner) -> str:
    return f"slot_of_{family}_{field}_{inner.shift}"


def _allow(network: str) -> str:
    parsed = ipaddress.ip_network(network)
    family = "ip" if parsed.version == 4 else "ip6"  # noqa: PLR2004 -- IP version 4
    return f"        {family} daddr {parsed} goto count_up"
