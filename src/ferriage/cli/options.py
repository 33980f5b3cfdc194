"""Which commands there are, and what each takes. Docs: docs/reference/cli.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli import bookoptions, machineoptions, sandbox
from ferriage.cli.adding import command, group

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- has no other name


def add(commands: Commands) -> None:
    """Add every command, in the order in which `--help` lists them."""
    for adder in (
        _demo,
        bookoptions.demo_books,
        _init,
        _up,
        _check,
        _list,
        _processes,
        _agent,
        _staff,
        bookoptions.ledger,
        bookoptions.import_from,
        _database,
        machineoptions.machines,
        _plans,
        _register,
        _scenario,
        _sandbox,
        _simulate,
    ):
        adder(commands)


def _demo(commands: Commands) -> None:
    demo = command(
        commands,
        "demo",
        "demo:run",
        "do business once, from shop to packets",
        example="demo --once",
    )
    demo.add_argument("--once", action="store_true", help="end when all steps are done")
    demo.add_argument("--dir", default=".demo", help="directory, made new each time (.demo)")
    demo.add_argument("--port", type=int, default=8765, help="the shop's port on localhost (8765)")


def _init(commands: Commands) -> None:
    init = command(
        commands,
        "init",
        "init:run",
        "make a shop: settings, keys, database, and a link for its first member of staff",
        example="init --url https://shop.example --name Ferriage\n  ferriage init --local",
    )
    init.add_argument(
        "--local",
        action="store_true",
        help="a shop to try out on http://localhost:8000; asks for seller, places and prices",
    )
    _settings_options(init)
    _shop_options(init)


def _settings_options(init: argparse.ArgumentParser) -> None:
    settings = init.add_argument_group("settings (only when there is no settings file yet)")
    settings.add_argument("--url", help="what customers type, such as https://shop.example")
    settings.add_argument("--name", help="the shop's name on its pages")
    settings.add_argument("--listen", action="append", metavar="ADDRESS:PORT")
    settings.add_argument("--hub-listen", metavar="ADDRESS:PORT")
    settings.add_argument("--hub-url", help="where gateways reach the hub")
    settings.add_argument(
        "--shop-address",
        action="append",
        metavar="ADDRESS",
        help="where held customers still reach the shop",
    )
    settings.add_argument("--database", default="", metavar="URL", help="postgresql://… (SQLite)")
    settings.add_argument("--bank-details", help="shown to customers who pay by bank transfer")


def _shop_options(init: argparse.ArgumentParser) -> None:
    shop = init.add_argument_group("the first line and what is sold on it (asked with --local)")
    shop.add_argument("--seller", help="legal name of who operates the line")
    shop.add_argument("--seller-place", metavar="PLACE", help="ISO 3166 code, such as SE")
    shop.add_argument("--register-number", default="", help="the seller's number in its register")
    shop.add_argument("--enter", metavar="PLACE", help="where the gateways stand")
    shop.add_argument("--exit", metavar="PLACE", help="where traffic leaves to the internet")
    shop.add_argument("--sell", action="append", metavar="PLACE", help="where customers are")
    shop.add_argument(
        "--currency", metavar="CODE", help="ISO 4217 code (that of the seller's place)"
    )
    shop.add_argument(
        "--prices", metavar="LIST", help="amounts for 1, 6, 12 and 24 months (10,50,90,120)"
    )


def _up(commands: Commands) -> None:
    command(
        commands,
        "up",
        "up:run",
        "start site, hub and worker, and on an enrolled gateway agent and hold page",
        example="up",
    )


def _check(commands: Commands) -> None:
    command(commands, "check", "check:run", "say what is wrong with this host and how to mend it")


def _list(commands: Commands) -> None:
    command(commands, "list", "lists:run", "list lines, plans and gateways with their codes")
    command(commands, "alarms", "alarms:run", "list open alarms; exit code 1 while there is one")


def _processes(commands: Commands) -> None:
    site = command(commands, "site", "serve:site", "serve the shop, the back office and the API")
    site.add_argument("--listen", metavar="ADDRESS:PORT", help="only this one of site.listen")
    command(commands, "hub", "serve:hub", "answer gateways' long-polls")
    worker = command(commands, "worker", "serve:worker", "do what is due, once a second")
    worker.add_argument("--once", action="store_true", help="do what is due now and end")
    command(commands, "hold", "serve:hold", "serve the page that held customers see")


def _agent(commands: Commands) -> None:
    agent = group(commands, "agent", "the program on a gateway")
    enrol = command(
        agent,
        "enrol",
        "serve:enrol",
        "make this host the gateway that a one-time token was made for",
        example="agent enrol fe1.… --endpoint-host vpn1.example",
    )
    enrol.add_argument("token")
    enrol.add_argument("--endpoint-host", default="", help="name or address for tunnels")
    enrol.add_argument("--endpoint-port", type=int, default=0, metavar="PORT", help="UDP port")
    command(agent, "run", "serve:agent", "apply and report until told to end")
    command(agent, "doctor", "doctor:run", "say what of this gateway is right, and what is not")

    remove = command(
        agent,
        "remove",
        "serve:remove",
        "take this host's gateway down and leave the host as it was",
    )
    remove.add_argument("--forget", action="store_true", help="delete its identity and keys too")


def _staff(commands: Commands) -> None:
    staff = group(commands, "staff", "people who log in to the back office")
    invite = command(
        staff,
        "invite",
        "people:invite",
        "print a link that makes one member of staff",
        example="staff invite --role support",
    )
    roles = ("owner", "partner", "support", "auditor")
    invite.add_argument("--role", choices=roles, default="owner")
    reset = command(
        staff,
        "reset",
        "people:reset",
        "print a link that gives somebody a new password",
        example="staff reset olga",
    )
    reset.add_argument("username")


def _database(commands: Commands) -> None:
    database = group(commands, "db", "where the shop's rows are kept")
    backup = "copy the database of a running shop, and name what belongs beside it"
    kept = command(database, "backup", "backup:run", backup, example="db backup shop.sqlite3")
    kept.add_argument("file", metavar="FILE", help="a file that is not there yet")
    move = command(
        database,
        "migrate-to",
        "database:migrate_to",
        "copy the shop from SQLite to an empty PostgreSQL database and compare every row",
        example="db migrate-to postgresql://ferriage@db.example/ferriage",
    )
    move.add_argument("url", metavar="URL", help="postgresql://…, as database.url will be")
    restored = command(
        database,
        "restored",
        "database:restored",
        "say that a backup was put back, before the shop is started on it",
        example="db restored --yes",
    )
    restored.add_argument("--yes", action="store_true", help="a backup was put back")


def _plans(commands: Commands) -> None:
    plan = group(commands, "plan", "what is sold: speeds and quotas")
    limits = command(
        plan,
        "set",
        "plans:set_limits",
        "make a plan faster or give more, at once and for everybody who has it",
        example="plan set pln_… --down 250 --quota 500",
    )
    limits.add_argument("plan", metavar="CODE", help="pln_ code")
    limits.add_argument(
        "--down", type=int, metavar="MBIT", help="Mbit/s to the customer (as it is)"
    )
    limits.add_argument(
        "--up", type=int, metavar="MBIT", help="Mbit/s from the customer (as it is)"
    )
    limits.add_argument("--quota", metavar="GB", help="GB a month, or none (as it is)")


def _register(commands: Commands) -> None:
    approvals = group(commands, "approvals", "the authorisation register")
    explain = command(
        approvals,
        "explain",
        "register:explain",
        "say what the law asks of a line and what was found; exit code 1 when it is refused",
        example="approvals explain --line ln_… --customer SE --at 2026-12-31T23:00+01:00",
    )
    explain.add_argument("--line", required=True, metavar="CODE", help="ln_ code")
    explain.add_argument("--customer", metavar="PLACE", help="judge a sale there (the permit)")
    explain.add_argument("--at", metavar="INSTANT", help="ISO 8601 with its offset (now)")
    explain.add_argument("--language", default="en", choices=("en", "zh-hans"))
    packs = group(commands, "packs", "rule packs: files need no shop")
    check = command(packs, "check", "packs:check", "check files of rule packs, or those shipped")
    check.add_argument("files", nargs="*", metavar="FILE")
    place = command(
        packs,
        "explain",
        "packs:explain",
        "list a place's kinds of approval and answers with their sources",
        example="packs explain CN",
    )
    place.add_argument("place", metavar="PLACE", help="ISO 3166 code, such as CN")
    place.add_argument("--file", action="append", default=[], help="a pack that does not ship")
    diff = command(
        packs,
        "diff",
        "packdiff:run",
        "say what a newer version changes; exit code 1 when something differs, 2 for trouble",
        example="packs diff old/DE.toml new/DE.toml\n"
        "  ferriage packs diff new/DE.toml     against what is in force here, and for its lines\n"
        "  ferriage packs diff                 what waits here to take effect",
    )
    diff.add_argument("files", nargs="*", metavar="FILE", help="old and new; or new; or none")
    register = group(commands, "register", "the chain of decisions and the evidence, for auditors")
    command(
        register,
        "export",
        "register:export",
        "write the chain of decisions",
        example="register export > decisions.jsonl",
    )
    verify = command(
        register,
        "verify",
        "chain:verify",
        "follow an exported chain; needs no shop, no database and no network",
        example="register verify decisions.jsonl --head 5f3c…",
    )
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--head", help="hash of the last decision, as it was noted elsewhere")
    command(
        register,
        "evidence",
        "register:evidence",
        "open every file of evidence and hold it against its hash",
    )
    repair = command(
        register,
        "repair",
        "register:repair",
        "name the decisions of a clock that ran ahead, for a second person to confirm",
        example='register repair --first 812 --reason "The host showed 2031 until NTP set it."',
    )
    repair.add_argument("--first", required=True, type=int, metavar="NUMBER")
    repair.add_argument("--reason", required=True, help="how it came, and how you know it is right")
    pack = command(
        register,
        "auditor-pack",
        "audit:pack",
        "write evidence, decisions, packs, approvals and a verifier into one zip",
        example="register auditor-pack auditor-2026.zip",
    )
    pack.add_argument("file", metavar="FILE", help="a file that is not there yet")


def _scenario(commands: Commands) -> None:
    scenario = command(
        commands,
        "scenario",
        "scenario:run",
        "play a story that the register judges, in a shop of its own that goes after",
        example="scenario nanjing",
    )
    scenario.add_argument("name", choices=("nanjing", "office-line", "stockholm", "lapse"))


def _sandbox(commands: Commands) -> None:
    play = command(
        commands,
        "sandbox",
        "sandbox:run",
        "play a payment provider on this machine, to try out how a shop takes money",
        example="sandbox --shop-url http://localhost:8000 --lose 30 --double 30",
    )
    sandbox.add_options(play)


def _simulate(commands: Commands) -> None:
    play = command(
        commands,
        "simulate",
        "simulate:run",
        "run many agents without tunnels against a shop made for it, and measure",
        example="simulate --gateways 1000 --devices 100000 --rate 20 --seconds 500"
        " --database postgresql://…",
    )
    for name, usual, brief in (
        ("--gateways", 20, "simulated agents (20)"),
        ("--pools", 0, "lines, of one pool each (one for each five gateways)"),
        ("--devices", 2000, "spread over the pools (2,000)"),
        ("--processes", 1, "to spread the agents over (1)"),
    ):
        play.add_argument(name, type=int, default=usual, metavar="NUMBER", help=brief)
    play.add_argument("--rate", type=float, default=10, help="changes a second (10)")
    play.add_argument("--seconds", type=float, default=20, help="how long to change (20)")
    play.add_argument(
        "--outage",
        type=float,
        default=0,
        metavar="SECONDS",
        help="then kill site and hub for so long, and let all agents come back at once",
    )
    play.add_argument(
        "--database", default="", metavar="URL", help="an empty postgresql://… (SQLite)"
    )
