"""Alarms in words: what is so, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ferriage.fleet.models import Alarm
from ferriage.fleet.newcomer import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KIND = Alarm.Kind

REMEDIES: Final = {
    _KIND.GATEWAY_SILENT: gettext_lazy(
        "Is its host up, and does ferriage-agent run? “ferriage agent doctor” there says. Tunnels "
        "go on to the end of what was paid."
    ),
    _KIND.GATEWAY_LAGS: gettext_lazy(
        "Look at its warnings. If there are none, run “ferriage agent doctor” on its host."
    ),
    _KIND.GATEWAY_LACKS: gettext_lazy(
        "Customers may get nothing through it. Its page says what to do, under “What it needs”; "
        "“ferriage agent doctor” on its host says the same."
    ),
    _KIND.GATEWAY_REFUSES: gettext_lazy(
        "The gateway's page says why; these devices are not served there, all others are."
    ),
    _KIND.FOREIGN_CHANGES: gettext_lazy(
        "The agent has put it right. Find out who changes nft rules, peers or interfaces there."
    ),
    _KIND.REMOVALS_DEFERRED: gettext_lazy(
        "After a restored backup record lost sales first; then allow it on the gateway's page."
    ),
    _KIND.SECOND_AGENT: gettext_lazy(
        "Two hosts have one identity: stop one, or enrol it as a gateway of its own."
    ),
    _KIND.OTHER_HISTORY: gettext_lazy(
        "If a backup was put back, run “ferriage db restored”. If none was, somebody else signs "
        "with the hub's key: put another feed.key in its place and enrol the gateways anew."
    ),
    _KIND.SLOW_BUILD: gettext_lazy(
        "A kernel with WireGuard is best; else install Debian 13's wireguard-go."
    ),
    _KIND.METERING: gettext_lazy(
        "Nobody is cut by it. Hold the usage of that day against the gateway's log, and decide on "
        "what was set aside: Gateways → Bytes set aside."
    ),
    _KIND.UNPLACED: gettext_lazy(
        "Raise what its pools hold, give its gateways a lower first port, or take it out of a "
        "plan. Devices are placed by themselves, within a minute."
    ),
    _KIND.LINE_CLOSING: gettext_lazy(
        "Renew what the register asks for; the line's page says what ends. It closes by itself."
    ),
    _KIND.WORKER_LATE: gettext_lazy(
        "Start ferriage-worker, or see in its log what fails. Lines and terms end without it."
    ),
    _KIND.HUB_AWAY: gettext_lazy(
        "Start ferriage-hub, or mend the way to hub.url. Gateways run on, but hear of no change."
    ),
    _KIND.CLOCK_WRONG: gettext_lazy("Set the clock of the shop's host; nothing is sold meanwhile."),
}
CHANGES: Final = {
    "table": gettext_lazy("nft tables were gone"),
    "element": gettext_lazy("elements of nft sets differed"),
    "peer": gettext_lazy("peers differed"),
    "route": gettext_lazy("rules of routing were gone"),
    "interface": gettext_lazy("an interface was gone"),
}
WORKER_PARTS: Final = {
    "approvals": gettext_lazy("register"),
    "fleet": gettext_lazy("gateways"),
    "orders": gettext_lazy("orders"),
    "payments": gettext_lazy("payments"),
    "devices": gettext_lazy("devices"),
    "ledger": gettext_lazy("books"),
    "alarms": gettext_lazy("alarms"),
}
"""`lookout.ROOMS` in words."""


def title(alarm: Alarm) -> str:
    """Return the kind and what it is about, by name where there is one."""
    return f"{alarm.get_kind_display()}: {alarm.details.get('name') or alarm.subject}"


def said(alarm: Alarm) -> str:
    """Return what was found, in one sentence or nothing."""
    words = _SAID.get(_KIND(alarm.kind))
    return words(alarm.details) if words else str(alarm.details.get("said", ""))


def remedy(alarm: Alarm) -> str:
    """Return what to do about it."""
    return str(REMEDIES[_KIND(alarm.kind)])


def _silent(details: Mapping[str, Any]) -> str:
    since = details.get("since")
    return _("Last report: %s.") % (_instant(since) if since else _("none yet"))


def _lags(details: Mapping[str, Any]) -> str:
    behind = [
        _("%(line)s: behind by %(count)s") % {"line": line, "count": count}
        for line, count in details.get("behind", {}).items()
    ]
    differs = [
        _("%(line)s: runs something else than the records say") % {"line": line}
        for line in details.get("differs", ())
    ]
    return "; ".join([*behind, *differs]) + "."


def _lacks(details: Mapping[str, Any]) -> str:
    found = [(TITLES.get(slug, slug), value) for slug, value in details.get("lacks", ())]
    return "; ".join(f"✗ {title} ({value})" if value else f"✗ {title}" for title, value in found)


def _counted(details: Mapping[str, Any]) -> str:
    found = [
        ngettext("%(line)s: one device", "%(line)s: %(count)s devices", count)
        % {"line": line, "count": count}
        for line, count in details.get("lines", {}).items()
    ]
    return "; ".join(found) + "."


def _changed(details: Mapping[str, Any]) -> str:
    found = details.get("changes", {}).items()
    return "; ".join(f"{CHANGES.get(kind, kind)} ({count} ×)" for kind, count in found) + "."


def _until(details: Mapping[str, Any]) -> str:
    return _("It closes at %s.") % _instant(details.get("until", ""))


def _late(details: Mapping[str, Any]) -> str:
    last = details.get("last")
    when = _("Last round: %s.") % (_instant(last) if last else _("none yet"))
    parts = ", ".join(str(WORKER_PARTS.get(part, part)) for part in details.get("parts", ()))
    return " ".join(filter(None, [when, parts, details.get("failure", "")]))


def _failed(details: Mapping[str, Any]) -> str:
    return str(details.get("failure", ""))


def _clock(details: Mapping[str, Any]) -> str:
    """Return the register's refusal, which was written down in the worker's language, English."""
    failure = _failed(details)
    return _(failure) if failure else ""


def _metered(details: Mapping[str, Any]) -> str:
    """Put in words what `devices.alarms` tells."""
    found = [words(details[kind]) for kind, words in _METERED.items() if kind in details]
    return " ".join([*found, *filter(None, [details.get("said")])])


def _named(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{code} ({count:,} B)" for code, count in rows.items())


def _unplaced(details: Mapping[str, Any]) -> str:
    count = details.get("count", 0)
    words = ngettext(
        "Not served on this line: one device.", "Not served on this line: %(count)s devices.", count
    )
    return words % {"count": count}


def _ahead(details: Mapping[str, Any]) -> str:
    found = ", ".join(f"{pool}: {rev:,}" for pool, rev in details.get("revisions", {}).items())
    return _("It shows signed changes that the records do not know: %(revisions)s.") % {
        "revisions": found
    }


def _instant(text: str) -> str:
    return f"{text[:19].replace('T', ' ')} UTC"


_METERED: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "foreign": lambda told: (
        ngettext(
            "It told bytes of one device that it was never given: %(devices)s.",
            "It told bytes of %(count)s devices that it was never given: %(devices)s.",
            told["count"],
        )
        % {"count": told["count"], "devices": ", ".join(told["devices"])}
    ),
    "aside": lambda told: (
        ngettext(
            "Of one device more than its speed allows was set aside: %(devices)s.",
            "Of %(count)s devices more than their speed allows was set aside: %(devices)s.",
            told["count"],
        )
        % {"count": told["count"], "devices": _named(told["bytes"])}
    ),
    "sums": lambda told: (
        _("Within a day devices came to %(devices)s bytes and their pools to %(pools)s.")
        % {"devices": f"{told['devices']:,}", "pools": f"{told['pools']:,}"}
    ),
    "days": lambda told: (
        ngettext(
            "Counters and days of one device differ: %(devices)s.",
            "Counters and days of %(count)s devices differ: %(devices)s.",
            told["count"],
        )
        % {"count": told["count"], "devices": _named(told["bytes"])}
    ),
    "months": lambda told: (
        ngettext(
            "Days and months of one subscription differ: %(subscriptions)s.",
            "Days and months of %(count)s subscriptions differ: %(subscriptions)s.",
            told["count"],
        )
        % {"count": told["count"], "subscriptions": _named(told["bytes"])}
    ),
}
_SAID: Final[Mapping[Alarm.Kind, Callable[[Mapping[str, Any]], str]]] = {
    _KIND.GATEWAY_SILENT: _silent,
    _KIND.GATEWAY_LAGS: _lags,
    _KIND.GATEWAY_LACKS: _lacks,
    _KIND.GATEWAY_REFUSES: _counted,
    _KIND.REMOVALS_DEFERRED: _counted,
    _KIND.FOREIGN_CHANGES: _changed,
    _KIND.LINE_CLOSING: _until,
    _KIND.WORKER_LATE: _late,
    _KIND.HUB_AWAY: _failed,
    _KIND.CLOCK_WRONG: _clock,
    _KIND.METERING: _metered,
    _KIND.UNPLACED: _unplaced,
    _KIND.OTHER_HISTORY: _ahead,
}
