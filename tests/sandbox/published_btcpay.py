"""Holds bodies against the OpenAPI description that BTCPay Server publishes.

OpenAPI 3.0 is not JSON Schema: `nullable` becomes a type, and what `allOf` joins is merged first,
since each part alone would forbid the fields of the others. What the description names is all that
a body may have.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

PUBLISHED = Path(__file__).with_name("published") / "btcpay"
_ELSEWHERE = {
    "OnChainPaymentMethodBaseData",
    "LightningNetworkPaymentMethodBaseData",
    "LNURLPayPaymentMethodBaseData",
}
"""Named by the description and described in a part of it that we have no use for."""


@cache
def _parts() -> dict[str, Any]:
    whole: dict[str, Any] = {"paths": {}, "schemas": {}, "x-webhooks": {}}
    for file in sorted(PUBLISHED.glob("*.json")):
        part = json.loads(file.read_text(encoding="utf-8-sig"))
        whole["paths"] |= part.get("paths", {})
        whole["x-webhooks"] |= part.get("x-webhooks", {})
        whole["schemas"] |= part.get("components", {}).get("schemas", {})
    return whole


def answer_differs(method: str, path: str, status: int, body: Any) -> list[str]:
    """Return where the answer of an operation is not as published; empty is right."""
    operation = _parts()["paths"][path][method]
    return _differs(operation["responses"][str(status)], body)


def request_differs(method: str, path: str, body: Any) -> list[str]:
    """Return where a request's body is not as published."""
    return _differs(_parts()["paths"][path][method]["requestBody"], body)


def event_differs(body: dict[str, Any]) -> list[str]:
    """Return where an event is not as published; an event of another type is none."""
    webhook = _parts()["x-webhooks"].get(body["type"])
    if webhook is None:
        return [f"there is no event {body['type']}"]
    return _differs(webhook["post"]["requestBody"], body)


def event_types() -> list[str]:
    """Return the types of all events that are published."""
    return sorted(_parts()["x-webhooks"])


def _differs(described: Any, body: Any) -> list[str]:
    schema = _plain(described["content"]["application/json"]["schema"])
    errors = Draft202012Validator(schema).iter_errors(body)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in errors]


def _plain(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as one of JSON Schema, with nothing left to look up."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return {} if name in _ELSEWHERE else _plain(_parts()["schemas"][name])
    merged = dict(schema)
    for part in map(_plain, merged.pop("allOf", [])):
        merged = part | merged | _joined(part, merged)
    merged = {key: value for key, value in merged.items() if key not in {"example", "format"}}
    if "properties" in merged:
        merged["properties"] = {name: _plain(one) for name, one in merged["properties"].items()}
        open_to_more = merged.get("additionalProperties") is True
        merged["additionalProperties"] = open_to_more
    if "items" in merged:
        merged["items"] = _plain(merged["items"])
    for choice in ("anyOf", "oneOf"):
        merged.pop(choice, None)
    if merged.pop("nullable", False):
        return {"anyOf": [merged, {"type": "null"}]}
    return merged


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    fields = one.get("properties", {}) | other.get("properties", {})
    return {"properties": fields} if fields else {}
