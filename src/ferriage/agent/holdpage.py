"""The page a held customer sees: what is held, until when it was paid, and the way to renew."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Final = ("en", "zh-hans")


class View(NamedTuple):
    """What one page says. `reason` is term, quota, staff, line, open or unknown.

    `line_ended_at` is where a line's permit ended by itself, else 0; `resets_at` is when a quota
    comes anew, else 0.
    """

    reason: str
    language: str
    hold_at: int
    line_reason: str
    shop_url: str
    line_ended_at: int = 0
    resets_at: int = 0


_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "lang": "en",
        "term": "Your term has ended",
        "term_text": "Your device is still set up. Only the shop can be reached until you renew.",
        "quota": "Your data is used up",
        "quota_text": "Your device is still set up. Only the shop can be reached for now.",
        "staff": "No line may serve you now",
        "staff_text": "The shop tells you why, and what you can choose.",
        "line": "This line is closed for now",
        "line_text": "The line you use may not carry traffic at the moment.",
        "ended": "What this line rests on ended at {at}.",
        "still": "While no line serves you your days stand still. In the shop you can move to"
        " another line, wait, or have the unused time refunded. If you do nothing, you wait: your"
        " connection opens by itself when the line does.",
        "choose": "See your choices",
        "open": "Your connection is open",
        "open_text": "Nothing is held. Go back and load the page again.",
        "unknown": "This device is not known here",
        "unknown_text": "Open the shop to see your devices.",
        "paid": "Paid until",
        "again": "Data again from",
        "renew": "Renew in the shop",
        "visit": "Go to the shop",
        "after": "Your connection opens by itself within seconds of payment."
        " Nothing has to be set up again.",
        "why": "You see this page because you opened a web address through your VPN."
        " No other page was loaded.",
    },
    "zh-hans": {
        "lang": "zh-Hans",
        "term": "您的服务已到期",
        "term_text": "您的设备设置仍然保留。续费之前只能访问商店。",
        "quota": "您的流量已用完",
        "quota_text": "您的设备设置仍然保留。目前只能访问商店。",
        "staff": "目前没有线路可以为您服务",
        "staff_text": "商店会告诉您原因，以及您可以选择的办法。",
        "line": "该线路暂时关闭",
        "line_text": "您使用的线路目前不能传输数据。",
        "ended": "该线路所依据的许可已于 {at} 终止。",
        "still": "在没有线路为您服务期间，您的剩余天数暂停计算。您可以在商店更换线路、等待，"
        "或退还未使用时间的费用。如果您不作选择，即为等待：线路恢复后连接会自动开通。",
        "choose": "查看您的选择",
        "open": "您的连接已开通",
        "open_text": "没有任何限制。请返回并重新加载页面。",
        "unknown": "此处没有该设备的记录",
        "unknown_text": "请打开商店查看您的设备。",
        "paid": "已付费至",
        "again": "流量恢复时间",
        "renew": "前往商店续费",
        "visit": "前往商店",
        "after": "付款后几秒内连接会自动恢复，无需重新设置。",
        "why": "您通过 VPN 打开了一个网址，因此看到此页面。没有加载任何其他页面。",
    },
}

_CHOICES: Final = frozenset({"line", "staff"})
"""Reasons for which the shop's page `/held/` has the way on: the customer's term runs."""

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#14213d;--soft:#51607a;--paper:#f4f6fb;--card:#fff;
--line:#dde3ee;--deed:#1d4ed8;--on:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf5;--soft:#a3aec2;--paper:#0e1525;
--card:#182238;--line:#2a3753;--deed:#7ea6ff;--on:#0b1220}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;
background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,"Noto Sans SC","PingFang SC",
"Microsoft YaHei",sans-serif}
main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);
border-radius:1rem;padding:2rem;box-shadow:0 1px 2px rgb(0 0 0/.05),0 12px 32px rgb(0 0 0/.06)}
svg{display:block;margin-bottom:1.25rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}
p{margin:0 0 1rem;white-space:pre-line}
dl{margin:0 0 1.5rem;padding:.75rem 0;border-block:1px solid var(--line);display:flex;
justify-content:space-between;flex-wrap:wrap;gap:0 1rem}
dt{color:var(--soft);white-space:nowrap}dd{margin:0;font-variant-numeric:tabular-nums;font-weight:600}
a{display:block;text-align:center;padding:.85rem 1rem;border-radius:.6rem;background:var(--deed);
color:var(--on);font-weight:600;text-decoration:none}
a:focus-visible{outline:3px solid var(--ink);outline-offset:3px}
small{display:block;margin-top:1.25rem;color:var(--soft);font-size:.875rem}
hr{border:0;border-top:1px solid var(--line);margin:1.5rem 0}
"""

_MARK: Final = (
    '<svg width="44" height="44" viewBox="0 0 44 44" aria-hidden="true">'
    '<circle cx="22" cy="22" r="21" fill="none" stroke="var(--deed)" stroke-width="2"/>'
    '<path d="M17 14v16M27 14v16" stroke="var(--deed)" stroke-width="4" stroke-linecap="round"/>'
    "</svg>"
)


def language_of(*wishes: str) -> str:
    """Return the first of the wishes that we speak; English when we speak none."""
    for wish in wishes:
        lowered = wish.strip().lower()
        if lowered.startswith("zh"):
            return "zh-hans"
        if lowered.startswith("en"):
            return "en"
    return "en"


def render(view: View) -> str:
    """Return the whole page; nothing in it is loaded from elsewhere."""
    words = _TEXTS[view.language]
    text = _line_text(words, view) if view.reason == "line" else ""
    title = words[view.reason]
    parts = [
        _MARK if view.reason != "open" else "",
        f"<h1>{title}</h1><p>{escape(text or words[f'{view.reason}_text'])}</p>",
        _instant(words["paid"], view.hold_at) if view.reason == "term" else "",
        _instant(words["again"], view.resets_at) if view.reason == "quota" else "",
        f"<p>{words['still']}</p>" if view.reason in _CHOICES else "",
        _button(words, view),
        f"<small>{words['after']}</small>" if view.reason == "term" else "",
        f"<hr><small>{words['why']}</small>",
    ]
    return (
        f'<!doctype html><html lang="{words["lang"]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _line_text(words: Mapping[str, str], view: View) -> str:
    """Return why a line is closed: the permit's words, or the instant at which it ran out."""
    if view.line_reason or not view.line_ended_at:
        return view.line_reason
    return words["ended"].format(at=_shown(view.line_ended_at))


def _shown(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _instant(label: str, at: int) -> str:
    if not at:
        return ""
    stamp = datetime.fromtimestamp(at, UTC).isoformat()
    return f'<dl><dt>{label}</dt><dd><time datetime="{stamp}">{_shown(at)}</time></dd></dl>'


def _button(words: Mapping[str, str], view: View) -> str:
    if not view.shop_url:
        return ""
    if view.reason in _CHOICES:
        return f'<a href="{escape(view.shop_url.rstrip("/"))}/held/">{words["choose"]}</a>'
    label = words["renew"] if view.reason == "term" else words["visit"]
    return f'<a href="{escape(view.shop_url)}">{label}</a>'
