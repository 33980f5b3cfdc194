"""The pages that people see: a payment page without scripts, and what was called back."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from ferriage.sandbox.frame import Act

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ferriage.sandbox.faults import Faults
    from ferriage.sandbox.frame import Begun, Bill

STYLE: Final = """\
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1c1917; background: #fafaf9; }
.play { margin: 0; padding: .75rem 1rem; text-align: center; background: #fde68a; }
main { max-width: 30rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
.amount { font-size: 2rem; margin: 0 0 1.5rem; }
fieldset { border: 1px solid #d6d3d1; border-radius: .5rem; margin: 0 0 1rem;
  padding: .75rem 1rem; }
label { display: block; padding: .25rem 0; }
input[type="text"] { font: inherit; width: 4rem; padding: .25rem .5rem; }
button { font: inherit; display: block; width: 100%; margin: .5rem 0; padding: .6rem;
  border: 1px solid #78716c; border-radius: .5rem; background: #fff; cursor: pointer; }
button.first { color: #fff; background: #14532d; border-color: #14532d; }
main.wide { max-width: 60rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid #e7e5e4; }
"""

_ACTS: Final = {
    Act.PAY: "Pay",
    Act.LATE: "Pay, but the money comes later",
    Act.SHORT: "Pay too little",
    Act.OVER: "Pay too much",
    Act.DECLINE: "Try to pay and be declined",
    Act.ABANDON: "Leave without paying",
    Act.CLAIM: "Say where it should go",
}


def payment(bill: Bill, *, provider: str, problem: str = "") -> str:
    """Return the payment page of one bill; `problem` says why the last try did nothing."""
    parts = [f"<h1>{escape(bill.title)}</h1>", f'<p class="amount">{escape(bill.amount)}</p>']
    if problem:
        parts.append(f'<p role="alert">{escape(problem)}</p>')
    if bill.note:
        parts.append(f"<p>{escape(bill.note)}</p>")
    if bill.acts:
        parts.append(f'<form method="post">{_means(bill)}{_buttons(bill)}</form>')
    return page(f"Pay {bill.amount}", "".join(parts), provider=provider)


def _means(bill: Bill) -> str:
    rows = []
    for number, means in enumerate(bill.means):
        checked = " checked" if number == 0 else ""
        rows.append(
            f'<label><input type="radio" name="means" value="{escape(means.slug)}"{checked}> '
            f"{escape(means.title)}</label>"
        )
    if any(means.asks_place for means in bill.means):
        rows.append(
            '<label>issued in (ISO 3166 code; may stay empty) <input type="text" name="place" '
            'pattern="[A-Z]{2}" maxlength="2"></label>'
        )
    return f"<fieldset><legend>Means of payment</legend>{''.join(rows)}</fieldset>" if rows else ""


def _buttons(bill: Bill) -> str:
    buttons = []
    for number, act in enumerate(bill.acts):
        look = ' class="first"' if number == 0 else ""
        buttons.append(f'<button name="act" value="{act.value}"{look}>{_ACTS[act]}</button>')
    return "".join(buttons)


def front(
    *, begun: Mapping[str, Sequence[Begun]], faults: Faults, sent: list[dict[str, Any]]
) -> str:
    """Return the page that says what this is, what goes wrong, what was paid and called back.

    Args:
        begun: By the title of each provider.
    """
    named = ", ".join(f"{name} {value}" for name, value in faults.as_dict().items())
    rows = "".join(
        f"<tr><td>{escape(row['half'])}</td><td>{escape(row['kind'])}</td>"
        f"<td>{escape(row['ident'])}</td><td>{escape(row['fate'])}</td>"
        f"<td>{row['status'] or '–'}</td></tr>"
        for row in reversed(sent[-100:])
    )
    payments = "".join(
        f"<tr><td>{escape(title)}</td><td><code>{escape(row.name)}</code></td>"
        f"<td>{escape(row.title)}</td><td>{escape(row.amount)}</td><td>{escape(row.state)}</td></tr>"
        for title, rows_of in begun.items()
        for row in reversed(rows_of[-100:])
    )
    paid = (
        '<div class="wide"><table><thead><tr><th>provider</th><th>name</th><th>what</th>'
        f"<th>amount</th><th>state</th></tr></thead><tbody>{payments}</tbody></table></div>"
    )
    table = (
        '<div class="wide"><table><thead><tr><th>provider</th><th>event</th><th>number</th>'
        f"<th>fate</th><th>shop answered</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    body = (
        f"<h1>Ferriage sandbox</h1><p>It plays {escape(' and '.join(begun))} for one shop.</p>"
        f"<p>Faults: {escape(named)}</p><h1>Payments, newest first</h1>"
        + (paid if payments else "<p>None yet.</p>")
        + "<h1>Callbacks, newest first</h1>"
        + (table if rows else "<p>None yet.</p>")
    )
    return page("Ferriage sandbox", body, provider="", look="wide")


def message(text: str) -> str:
    """Return a page that says one thing."""
    return page("Ferriage sandbox", f"<h1>{escape(text)}</h1>", provider="")


def page(title: str, body: str, *, provider: str, look: str = "") -> str:
    """Return a whole page; its first line says that no real money moves."""
    plays = f" This page stands for {escape(provider)}'s." if provider else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/sandbox.css"></head><body>'
        f'<p class="play"><strong>Sandbox.</strong> No real money moves here.{plays}</p>'
        f'<main class="{look}">{body}</main></body></html>'
    )
