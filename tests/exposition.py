"""Prometheus' text format as it is scraped: what it says, and whether its names keep the rules."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

_NAME = re.compile(r"ferriage_[a-z][a-z0-9_]*")
_LABELS = {
    *("pool", "gateway", "line", "state", "kind", "task", "room", "set", "direction"),
    *("outcome", "batch", "le", "version", "backend", "currency", "table"),
}
"""All labels that there are: none names a customer, an account or a device."""
_BASE_UNITS = re.compile(r"_(milliseconds|minutes|hours|days|kilobytes|megabytes|percent)(_|$)")


def samples(text: str) -> dict[str, float]:
    """Return each sample's value by its name and its labels in order."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{sample.labels[key]}"' for key in sorted(sample.labels))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found, f"{name} is said twice"
            found[name] = sample.value
    return found


def families(text: str) -> dict[str, tuple[str, str]]:
    """Return type and help of each family by its name."""
    return {
        family.name: (family.type, family.documentation)
        for family in text_string_to_metric_families(text)
    }


def named_well(text: str) -> list[str]:
    """Return what breaks Prometheus' rules for names, as promtool would list it."""
    wrong = []
    for family in text_string_to_metric_families(text):
        if not _NAME.fullmatch(family.name) or _BASE_UNITS.search(family.name):
            wrong.append(f"{family.name}: not a name in base units")
        if not family.documentation.strip():
            wrong.append(f"{family.name}: no help text")
        counted = family.name.endswith("_total")
        if family.type in {"gauge", "histogram"} and counted:
            wrong.append(f"{family.name}: only counters end in _total")
        if family.type in {"untyped", "unknown"}:
            wrong.append(f"{family.name}: no type")
        labels = {label for sample in family.samples for label in sample.labels}
        wrong += [f"{family.name}: label {label}" for label in sorted(labels - _LABELS)]
        if family.type == "counter":
            wrong += [
                f"{sample.name}: a counter ends in _total"
                for sample in family.samples
                if not sample.name.endswith("_total")
            ]
    return wrong


def rows(text: str) -> list[str]:
    """Return each family as a line of the table in docs/reference/metrics.md."""
    found = []
    for family in text_string_to_metric_families(text):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        shown = ", ".join(f"`{label}`" for label in sorted(labels)) or "–"
        found.append(f"| `{name}` | {family.type} | {shown} | {family.documentation} |")
    return sorted(found)
