"""What the people of a story do: each step is the action that pages and commands call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from ferriage.accounts import actions as accounts
from ferriage.approvals import actions as approvals
from ferriage.approvals.queries import questions_left
from ferriage.approvals.reasons import explain, sentence
from ferriage.approvals.site import packs_in_force
from ferriage.cli.catalogue import TERMS, fill
from ferriage.cli.words import CommandError, say
from ferriage.core import clock
from ferriage.core.actors import CUSTOMER, Actor
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet.queries import judge_line, line_facts
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ferriage.approvals.facts import Question, Verdict
    from ferriage.approvals.models import Party
    from ferriage.fleet.models import Line
    from ferriage.orders.models import Order
    from ferriage.plans.models import Plan

OLGA: Final = Actor("staff", "olga")
VERA: Final = Actor("staff", "vera")
_YEAR: Final = timedelta(days=365)
_PAPER: Final = approvals.EvidenceFile(
    data=b"An invented contract.", title="Contract (invented)", media_type="text/plain"
)


@dataclass(frozen=True)
class Stage:
    """Tells what happens and insists that it happens; evidence lies in `store`."""

    store: Path
    _steps: Iterator[int] = field(default_factory=lambda: count(1))

    def step(self, title: str) -> None:
        """Begin a step."""
        say(f"\n{next(self._steps)}. {title}")

    def must(self, held: object, text: str) -> None:
        """Print what came of a step.

        Raises:
            CommandError: It did not come out as the story says.
        """
        if not held:
            raise CommandError(f"The story broke off: it is not so that {text}.")
        say(f"   {text}")

    def party(self, name: str, place: str) -> Party:
        """Record a legal person."""
        return approvals.create_party(name=name, place=place, now=clock.now(), actor=OLGA)

    def line(
        self,
        name: str,
        party: Party,
        *,
        enter: str,
        leave: str,
        customer_class: str = "public",
        use: str = "resale",
    ) -> Line:
        """Plan a line for customers in the party's place."""
        return fleet.create_line(
            name=name,
            party=party,
            enter_place=enter,
            exit_place=leave,
            sell_places=[party.place],
            customer_class=customer_class,
            use=use,
            now=clock.now(),
            actor=OLGA,
        )

    def sell(self, line: Line, amounts: str = "10,50,90,120") -> Plan:
        """Put two services with four terms each on the shelf; return one plan."""
        prices = [Money.parse(amount, "CNY") for amount in amounts.split(",")]
        made = fill(line=line, prices=prices, now=clock.now(), actor=OLGA)
        terms = ", ".join(map(str, TERMS))
        say(f"   {len(made)} services; {terms} months at {amounts.replace(',', ', ')} yuan")
        return made[0]

    def refused(self, line: Line) -> Verdict:
        """Try to open a line that may not be; print the verdict as a tree and return it."""
        try:
            fleet.put_in_service(line=line, now=clock.now(), actor=OLGA)
        except fleet.LineRefused as refusal:
            say(_indented(explain(refusal.verdict, "en", packs_in_force())))
            return refusal.verdict
        raise CommandError("The story broke off: the line opened.")

    def opened(self, line: Line) -> Line:
        """Open a line that may be; print what it rests on."""
        opened = fleet.put_in_service(line=line, now=clock.now(), actor=OLGA)
        verdict = judge_line(line=opened, at=clock.now())
        say(_indented(explain(verdict, "en", packs_in_force())))
        return opened

    def conclude(self, line: Line) -> tuple[Question, ...]:
        """Record an INVENTED conclusion on each question that the packs leave unknown."""
        asked = questions_left(line=line_facts(line), at=clock.now())
        self.determine(line, asked)
        for question in asked:
            say(f"   concluded (INVENTED for this story): {question.role} {question.place}")
        return asked

    def determine(
        self, line: Line, asked: Sequence[Question], *, at: datetime | None = None
    ) -> None:
        """Record an invented conclusion on these questions, now or at an instant to come."""
        now = at or clock.now()
        facts = line_facts(line)
        approvals.record_determination(
            party=line.party,
            asked=approvals.Asked(
                questions=tuple(asked), customer_class=facts.customer_class, use=facts.use
            ),
            conclusion=approvals.Conclusion(
                words="Invented for a story: nobody has read any law for this conclusion.",
                source_clause="none (invented)",
                source_read_on=now.date() - timedelta(days=1),
                author_name="Olga (invented)",
                statement=True,
            ),
            packs=packs_in_force(),
            now=now,
            actor=OLGA,
        )

    def lease(self, line: Line) -> None:
        """Enter an INVENTED contract for a leased line, and have a second person verify it."""
        approval = approvals.record_approval(
            kind="CN-INTL-LINE-LEASE",
            holder=line.party,
            line_codes=[line.code],
            packs=packs_in_force(),
            now=clock.now(),
            actor=OLGA,
        )
        today = clock.now().date()
        issued = approvals.Issued(
            number="INVENTED-1", valid_from=today - timedelta(days=2), valid_to=today + _YEAR
        )
        approvals.grant(
            approval=approval,
            issued=issued,
            file=_PAPER,
            store_dir=self.store,
            now=clock.now(),
            actor=OLGA,
        )
        approvals.verify(approval=approval, now=clock.now(), actor=VERA)
        say("   lease (INVENTED) entered by olga, verified by vera")

    def order(self, plan: Plan, place: str, months: int = 1) -> Order | None:
        """Let a stranger order a term; print why not if it is refused."""
        account = accounts.open_account(now=clock.now(), actor=CUSTOMER, place=place).account
        try:
            return orders.place(
                account=account,
                price=next(
                    price
                    for price in plans.current_prices(plan=plan, now=clock.now())
                    if price.term_months == months
                ),
                place=place,
                now=clock.now(),
                expires_at=clock.now() + timedelta(hours=72),
                actor=CUSTOMER,
            )
        except orders.NotOnSale as refusal:
            say(f"   {refusal.message}")
            for reason in refusal.verdict.reasons if refusal.verdict else ():
                say(f"   ✗ {sentence(reason, 'en', packs_in_force())}")
            return None

    def pay(self, order: Order, number: str = "INVENTED-1") -> None:
        """Let the money for an order come to the bank account."""
        payment = payments.start_bank(order=order, now=clock.now(), actor=CUSTOMER)
        captured = payments.book_receipt(
            reference=payment.reference or "",
            transaction_id=number,
            money=order.due,
            now=clock.now(),
            actor=OLGA,
        )
        self.must(captured.outcome == "settled", "the transfer came, and the term has begun")


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())
