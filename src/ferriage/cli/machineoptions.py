"""Commands about gateways, and about devices of the operator's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli.adding import command, group

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- has no other name


def machines(commands: Commands) -> None:
    """Add what is done with gateways and own devices."""
    gateway = group(commands, "gateway", "hosts that end tunnels")
    _arriving(gateway)
    command(gateway, "list", "gateways:list_all", "list gateways, when seen and how far behind")
    for name, brief in (
        ("show", "show one gateway and each line that it serves"),
        ("serve", "let a gateway serve one line more"),
        ("unserve", "take a gateway off a line, once it is said who is left without one"),
        ("drain", "offer a gateway in no new file; who has one goes on"),
        ("undrain", "name a gateway in new files again"),
        ("close", "close a gateway for good; its key opens nothing any more"),
    ):
        of_line = name in {"serve", "unserve"}
        example = f"gateway {name} one" + (" ln_…" if of_line else "")
        about = command(gateway, name, f"gateways:{name}", brief, example=example)
        about.add_argument("name")
        if of_line:
            about.add_argument("line", metavar="LINE", help="ln_ code")
        if name in {"unserve", "close"}:
            about.add_argument("--yes", action="store_true", help="it is meant; nothing asks again")
    _devices(commands)


def _arriving(gateway: Commands) -> None:
    adding = command(
        gateway,
        "add",
        "machines:add_gateway",
        "record a gateway and print its one-time token",
        example="gateway add one --place SE --endpoint-host vpn1.example",
    )
    adding.add_argument("name")
    adding.add_argument("--place", required=True, help="where the host stands (ISO 3166)")
    adding.add_argument("--endpoint-host", default="", help="name or address for tunnels")
    adding.add_argument("--endpoint-port", type=int, default=51820, metavar="PORT")
    adding.add_argument("--line", help="let it serve this line (ln_ code; nothing without one)")
    token = command(
        gateway,
        "token",
        "machines:new_token",
        "print another one-time token for a gateway; the older ones end",
        example="gateway token one",
    )
    token.add_argument("name")
    endpoint = command(
        gateway,
        "endpoint",
        "machines:set_endpoint",
        "change where customers' tunnels reach a gateway",
        example="gateway endpoint one vpn2.example:51820",
    )
    endpoint.add_argument("name")
    endpoint.add_argument("endpoint", metavar="HOST[:PORT]", help="name or address, and UDP port")


def _devices(commands: Commands) -> None:
    device = group(commands, "device", "devices that may connect")
    own = command(
        device,
        "add",
        "machines:add_device",
        "connect a device of the operator's own, if the register allows it",
        example="device add laptop --mine",
    )
    own.add_argument("name")
    own.add_argument("--mine", action="store_true", required=True, help="it is the operator's own")
    own.add_argument("--plan", help="plan (pln_ code); needed when several lead different ways")
    own.add_argument("--place", default="", help="where you are (ISO 3166; where the seller sits)")
    own.add_argument("--out", default="", metavar="FILE", help="write the file here (NAME.conf)")
