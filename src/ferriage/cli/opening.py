"""Opens a shop that `init` made: seller, line, what is sold, and what the register asks.

Nothing here answers a question of law. What a rule pack leaves unknown is asked, with room for
the operator's own words, and may be left open; then the line stays closed and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from ferriage.approvals.packfile import is_place, is_user_assigned
from ferriage.cli.asking import no_answer, prompt, until_good
from ferriage.cli.catalogue import TERMS, fill
from ferriage.cli.words import CommandError, Exit, say
from ferriage.config import SiteConfig
from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ferriage.approvals.actions import Conclusion
    from ferriage.approvals.facts import Question
    from ferriage.approvals.models import Party
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Plan

INIT: Final = Actor("command", "init")
_ROLES: Final = {
    "operate": "operating the line from {}",
    "enter": "taking in traffic in {}",
    "exit": "letting traffic out in {}",
    "cross": "carrying traffic across the border of {}",
    "sell": "selling to customers in {}",
}
_CURRENCIES: Final = {"CN": "CNY", "DE": "EUR", "SE": "SEK"}
"""Offered to a seller of these places, which have rule packs; elsewhere nothing is guessed."""


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
        plans = fill(line=line, prices=answers.prices, now=clock.now(), actor=INIT)
    _say_what_is_sold(plans)
    if parsed.local:
        _ask_open_questions(line, line.party)
    _try_to_open(line)


def _say_what_is_sold(plans: Sequence[Plan]) -> None:
    services = " and ".join(f"“{plan.service}”" for plan in plans)
    say(f"\ninit: made {len(plans)} services to sell, {services}, with one plan and these prices")
    say("each. One that you do not want is withdrawn on its page in the back office, under Plans.")


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
        CommandError: An option that cannot be, or an answer that is missing.
    """

    def want[T](given: str | None, question: str, read: Callable[[str], T], default: str = "") -> T:
        if given or not parsed.local:
            return read(given or default or _missing(question))
        return until_good(question, read, default)

    enter = want(parsed.enter, "Where do your gateways stand (ISO 3166, such as SE)?", _place)
    leave = want(parsed.exit, "Where does traffic leave to the internet?", _place, enter)
    sold = " ".join(parsed.sell or ())
    sell = want(sold, "Where are your customers (one or several, such as SE, DE)?", _places, enter)
    seller = want(parsed.seller, "Who operates the line? Legal name:", str)
    place = want(parsed.seller_place, "Where does this party sit?", _place, enter)
    currency = want(parsed.currency, "Which currency?", _currency, _CURRENCIES.get(place[:2], ""))
    prices = want(
        parsed.prices,
        f"Prices in {currency} for 1, 6, 12 and 24 months:",
        partial(_prices, currency=currency),
        "10,50,90,120",
    )
    return Answers(
        seller=seller,
        seller_place=place,
        register_number=parsed.register_number,
        enter=enter,
        exit=leave,
        sell=sell,
        prices=prices,
    )


def ask_names(parsed: argparse.Namespace) -> tuple[str, str]:
    """Return the shop's name and its bank details, asked with `--local`; both may be empty."""
    if not parsed.local:
        return parsed.name, parsed.bank_details
    name = parsed.name or prompt("What is the shop called?", SiteConfig().name)
    bank = parsed.bank_details or prompt(
        "Bank details, shown to customers who pay by transfer (Enter for none yet):"
    )
    if not bank:
        say("  None yet: nobody can pay before shop.bank_details stands in the settings file,")
        say("  or vouchers are issued in the back office.")
    return name, bank


def _missing(question: str) -> NoReturn:
    raise no_answer(question)


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


def _places(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_place(place) for place in _split(text)))


def _currency(text: str) -> str:
    try:
        return Money(0, text.upper()).currency
    except ValueError:
        raise CommandError(f"“{text}” is not an ISO 4217 code such as SEK.", Exit.USAGE) from None


def _prices(text: str, currency: str) -> tuple[Money, ...]:
    amounts = _split(text)
    if len(amounts) != len(TERMS):
        raise CommandError(f"“{text}” is not four amounts such as 10,50,90,120.", Exit.USAGE)
    try:
        return tuple(Money.parse(amount, currency) for amount in amounts)
    except ValueError as error:
        raise CommandError(f"{error}.", Exit.USAGE) from error


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()


# --- what the rule packs leave unknown --------------------------------------------------------


def _ask_open_questions(line: Line, party: Party) -> None:
    from ferriage.approvals.queries import questions_left
    from ferriage.fleet.queries import line_facts

    named: set[str] = set()
    before = _Before()
    for question in questions_left(line=line_facts(line), at=clock.now()):
        if question.place not in named:
            named.add(question.place)
            _name_sources(question.place)
        say(f"\nDoes {_in_words(question)} need an approval? The rule pack does not say.")
        say("If you conclude that it needs none, say why; Enter leaves the question open.")
        _ask_one(line, party, question, before)


def _ask_one(line: Line, party: Party, question: Question, before: _Before) -> None:
    while words := prompt("Why none is needed, in your own words:"):
        try:
            return _determine(line, party, question, _conclusion(words, before))
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


@dataclass(slots=True)
class _Before:
    """What was said at the question before, offered again: who reads one act answers several.

    Never the conclusion and never the statement, which are made anew for each question.
    """

    title: str = ""
    clause: str = ""
    read_on: str = ""
    author: str = ""


def _conclusion(words: str, before: _Before) -> Conclusion:
    """Ask what a conclusion rests on.

    Raises:
        ValueError: No day is given.
    """
    from ferriage.approvals.actions import Conclusion

    before.title = prompt("Which source did you read (title)?", before.title)
    before.clause = prompt("Which clause of it?", before.clause)
    read_on = _day("When did you read it (YYYY-MM-DD)?", before.read_on)
    before.read_on = read_on.isoformat()
    before.author = prompt("Your name:", before.author)
    said = prompt(
        "Type yes to state: I have read the source above; this is our conclusion, not legal advice."
    )
    return Conclusion(
        words=words,
        source_title=before.title,
        source_clause=before.clause,
        source_read_on=read_on,
        author_name=before.author,
        statement=said == "yes",
    )


def _day(question: str, default: str) -> date:
    """Ask for a day until it is one.

    Raises:
        ValueError: None is given.
    """
    while answer := prompt(question, default):
        try:
            return date.fromisoformat(answer)
        except ValueError:
            say(f"  “{answer}” is not a day such as 2026-11-24.")
    raise ValueError("without the day on which the source was read.")


def _determine(line: Line, party: Party, question: Question, conclusion: Conclusion) -> None:
    from ferriage.approvals.actions import Asked, record_determination
    from ferriage.approvals.site import packs_in_force

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
