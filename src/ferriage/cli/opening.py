"""Opens a shop that `init` made: seller, line, what is sold, and what the register asks.

Nothing here answers a question of law. What a rule pack leaves unknown is asked, with room for
the operator's own words, and may be left open; then the line stays closed and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from ferriage.approvals.packfile import is_place, is_user_assigned
from ferriage.cli.catalogue import TERMS, fill
from ferriage.cli.words import CommandError, Exit, say
from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money

if TYPE_CHECKING:
    import argparse

    from ferriage.approvals.facts import Question
    from ferriage.approvals.models import Party
    from ferriage.fleet.models import Line

INIT: Final = Actor("command", "init")
_ROLES: Final = {
    "operate": "operating the line from {}",
    "enter": "taking in traffic in {}",
    "exit": "letting traffic out in {}",
    "cross": "carrying traffic across the border of {}",
    "sell": "selling to customers in {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the operator said about the shop."""

    seller: str
    seller_place: str
    register_number: str
    enter: str
    exit: str
    sell: tuple[str, ...]
    prices: tuple[Money, ...]


def open_shop(answers: Answers | None, parsed: argparse.Namespace) -> None:
    """Record seller, line and prices, ask the open questions, and open the line if it may be.

    Args:
        answers: Asked already, or None to ask now, if there is a shop to open at all.

    Raises:
        CommandError: An answer that cannot be, or one that is missing and cannot be asked.
    """
    from ferriage.approvals.models import Party

    if Party.objects.exists():
        say("init: there is a seller already, so nothing is opened again")
        return
    answers = answers or ask(parsed)
    with writing():
        line = _record(answers)
        fill(line=line, prices=answers.prices, now=clock.now(), actor=INIT)
    if parsed.local:
        _ask_open_questions(line, line.party)
    _try_to_open(line)


def _record(answers: Answers) -> Line:
    from ferriage.approvals.actions import create_party
    from ferriage.fleet.actions import create_line

    party = create_party(
        name=answers.seller,
        place=answers.seller_place,
        register_number=answers.register_number,
        now=clock.now(),
        actor=INIT,
    )
    return create_line(
        name=f"{answers.enter} – {answers.exit}",
        party=party,
        enter_place=answers.enter,
        exit_place=answers.exit,
        sell_places=answers.sell,
        customer_class="public",
        use="resale",
        now=clock.now(),
        actor=INIT,
    )


def _try_to_open(line: Line) -> None:
    from ferriage.approvals.queries import questions_left
    from ferriage.approvals.reasons import explain
    from ferriage.approvals.site import packs_in_force
    from ferriage.fleet.actions import LineRefused, put_in_service
    from ferriage.fleet.queries import line_facts

    try:
        put_in_service(line=line, now=clock.now(), actor=INIT)
    except LineRefused as refusal:
        say("\nThe line stays closed; the back office shows the same under Lines:")
        say(explain(refusal.verdict, "en", packs_in_force()))
    else:
        say(f"\ninit: the line {line.name} is open")
        for question in questions_left(line=line_facts(line), at=clock.now()):
            say(f"init: {_in_words(question)} is left open, so nothing is sold there yet")


# --- answers ----------------------------------------------------------------------------------


def ask(parsed: argparse.Namespace) -> Answers:
    """Return what the options say of the shop, and with `--local` ask for the rest.

    Raises:
        CommandError: An answer that cannot be, or one that is missing.
    """

    def want(given: str | None, question: str, default: str = "") -> str:
        answer = given or (prompt(question, default) if parsed.local else default)
        return answer or _missing(question)

    enter = _place(want(parsed.enter, "Where do your gateways stand (ISO 3166, such as SE)?"))
    leave = _place(want(parsed.exit, "Where does traffic leave to the internet?", enter))
    sold = parsed.sell or want(None, "Where are your customers (one or several)?", enter).split()
    seller = want(parsed.seller, "Who operates the line? Legal name:")
    place = _place(want(parsed.seller_place, "Where does this party sit?", enter))
    currency = want(parsed.currency, "Which currency?", "CNY").upper()
    amounts = want(parsed.prices, "Prices for 1, 6, 12 and 24 months:", "10,50,90,120")
    return Answers(
        seller=seller,
        seller_place=place,
        register_number=parsed.register_number,
        enter=enter,
        exit=leave,
        sell=tuple(_place(item.strip(",")) for item in sold),
        prices=_prices(amounts, currency),
    )


def prompt(question: str, default: str = "") -> str:
    """Ask one question on the terminal; Enter, or nobody there, takes the default."""
    shown = f"{question} [{default}] " if default else f"{question} "
    try:
        return input(shown).strip() or default
    except EOFError:
        say()
        return default


def _missing(question: str) -> str:
    raise CommandError(
        f"No answer to: {question} `ferriage init --help` lists an option for each question.",
        Exit.USAGE,
    )


def _place(text: str) -> str:
    place = text.strip().upper()
    if not is_place(place):
        raise CommandError(f"“{text}” is not an ISO 3166 code such as SE or CN.", Exit.USAGE)
    if is_user_assigned(place):
        raise CommandError(
            f"{place} is a code that no country has. A shop is opened under a law that exists; "
            "`ferriage demo` shows one in an invented place.",
        )
    return place


def _prices(text: str, currency: str) -> tuple[Money, ...]:
    amounts = text.split(",")
    if len(amounts) != len(TERMS):
        raise CommandError(f"“{text}” is not four amounts such as 10,50,90,120.", Exit.USAGE)
    try:
        return tuple(Money.parse(amount, currency) for amount in amounts)
    except ValueError as error:
        raise CommandError(f"{error}.", Exit.USAGE) from error


# --- what the rule packs leave unknown --------------------------------------------------------


def _ask_open_questions(line: Line, party: Party) -> None:
    from ferriage.approvals.queries import questions_left
    from ferriage.fleet.queries import line_facts

    named: set[str] = set()
    for question in questions_left(line=line_facts(line), at=clock.now()):
        if question.place not in named:
            named.add(question.place)
            _name_sources(question.place)
        say(f"\nDoes {_in_words(question)} need an approval? The rule pack does not say.")
        say("If you conclude that it needs none, say why; Enter leaves the question open.")
        _ask_one(line, party, question)


def _ask_one(line: Line, party: Party, question: Question) -> None:
    while words := prompt("Why none is needed, in your own words:"):
        try:
            return _determine(line, party, question, words)
        except (FerriageError, ValueError) as error:
            say(f"  not recorded: {error}")
    return None


def _in_words(question: Question) -> str:
    from ferriage.approvals.reasons import place_name
    from ferriage.approvals.site import packs_in_force

    place = place_name(question.place, "en", packs_in_force())
    return _ROLES[question.role].format(place)


def _name_sources(place: str) -> None:
    """Say what the place's rule pack names for reading; never an answer."""
    from ferriage.approvals.reasons import place_name
    from ferriage.approvals.site import packs_in_force

    pack = packs_in_force().get(place)
    if pack is None:
        say(f"\nThere is no rule pack for {place}, so no document to read is named here.")
        return
    say(f"\nTo read for {place_name(place, 'en', packs_in_force())}:")
    for source in pack.sources.values():
        say(f"  {source.title} {source.url}".rstrip())


def _day(question: str) -> date:
    """Ask for a day until it is one.

    Raises:
        ValueError: None is given.
    """
    while answer := prompt(question):
        try:
            return date.fromisoformat(answer)
        except ValueError:
            say(f"  “{answer}” is not a day such as 2026-11-24.")
    raise ValueError("without the day on which the source was read.")


def _determine(line: Line, party: Party, question: Question, words: str) -> None:
    from ferriage.approvals.actions import Asked, Conclusion, record_determination
    from ferriage.approvals.site import packs_in_force

    conclusion = Conclusion(
        words=words,
        source_title=prompt("Which source did you read (title)?"),
        source_clause=prompt("Which clause of it?"),
        source_read_on=_day("When did you read it (YYYY-MM-DD)?"),
        author_name=prompt("Your name:"),
        statement=prompt(
            "Type yes to state: I have read the source above; this is our conclusion, "
            "not legal advice."
        )
        == "yes",
    )
    record_determination(
        party=party,
        asked=Asked(
            questions=(question,), customer_class="public", use="resale", line_code=line.code
        ),
        conclusion=conclusion,
        packs=packs_in_force(),
        now=clock.now(),
        actor=INIT,
    )
