"""The auditor's pack: one zip with everything the register rests on, and its own verifier."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from ferriage import __version__
from ferriage.approvals import queries as register
from ferriage.approvals.models import Approval, ClockRepair, Determination, Evidence, Party
from ferriage.approvals.site import pack_files
from ferriage.core import chain
from ferriage.core.models import AuditEntry
from ferriage.fleet.models import Line
from ferriage.reports import evidence, sample

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

FORMAT: Final = 1
_HERE: Final = Path(__file__).parent
_LINE_COLUMNS: Final = (
    "code",
    "name",
    "enter_place",
    "exit_place",
    "sell_places",
    "customer_class",
    "use",
    "state",
    "hold_reason",
    "lessor",
    "lease_contract",
    "capacity",
    "created_at",
)
_APPROVAL_COLUMNS: Final = (
    "code",
    "kind",
    "number",
    "state",
    "issued_on",
    "valid_from",
    "valid_to",
    "conditions",
    "capacity",
    "customers",
    "is_correction",
    "correction_reason",
    "lodged_at",
    "entered_by",
    "verified_by",
    "verified_at",
    "created_at",
)
_DETERMINATION_COLUMNS: Final = (
    "code",
    "place",
    "role",
    "customer_class",
    "use",
    "line_code",
    "answer",
    "kinds",
    "grade",
    "reasoning",
    "source_title",
    "source_clause",
    "source_read_on",
    "author_name",
    "statement",
    "made_at",
    "made_on",
    "review_by",
    "entered_by",
    "ended_at",
)
_EVIDENCE_COLUMNS: Final = (
    "sha256",
    "title",
    "media_type",
    "size_bytes",
    "original_at",
    "uploaded_by",
    "uploaded_at",
)


_ANSWER_COLUMNS: Final = ("name", "relation", "looked_at", "confirmed", "reason", "at")
_REPAIR_COLUMNS: Final = (
    "code",
    "first_sequence",
    "last_sequence",
    "last_hash",
    "reason",
    "proposed_by",
    "proposed_at",
    "confirmed_by",
    "confirmed_at",
    "dropped_at",
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a pack came to. The seal is to be noted elsewhere."""

    files: int
    decisions: int
    head: str
    seal: str


@dataclass(slots=True)
class _Pack:
    """A zip being written, with the digest of each file."""

    zip: zipfile.ZipFile
    stamp: tuple[int, int, int, int, int, int]
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, parts: Iterable[bytes], *, listed: bool = True) -> str:
        """Write one file, part by part, and return its digest."""
        digest = hashlib.sha256()
        info = zipfile.ZipInfo(name, self.stamp)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        with self.zip.open(info, "w", force_zip64=True) as file:
            for part in parts:
                digest.update(part)
                file.write(part)
        if listed:
            self.digests[name] = digest.hexdigest()
        return digest.hexdigest()

    def add_json(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write rows as JSON that people can read too."""
        text = json.dumps(rows, ensure_ascii=False, indent=1, sort_keys=True, default=str)
        self.add(name, [f"{text}\n".encode()])


def write(file: IO[bytes], *, now: datetime) -> Made:
    """Write the pack into a file opened for binary writing.

    The chain is cut at its newest Decision of the beginning, so a sale meanwhile does no harm.

    Source: docs/explanation/reports.md
    """
    latest = register.latest_decision()
    count, head = (latest.sequence, latest.hash) if latest else (0, chain.GENESIS)
    with zipfile.ZipFile(file, "w") as archive:
        pack = _Pack(archive, (now.year, now.month, now.day, now.hour, now.minute, now.second))
        pack.add("README.md", [(_HERE / "auditor.md").read_bytes()])
        pack.add("verify.py", [(_HERE / "verify.py").read_bytes()])
        chain_lines = (line.encode() for line in register.exported_decisions(up_to=count))
        pack.add("decisions.jsonl", chain_lines)
        _register(pack)
        _evidence(pack)
        for place, data in pack_files():
            pack.add(f"packs/{place}.toml", [data])
        pack.add_json("sample.json", sample.orders(up_to=count))
        manifest = {
            "format": FORMAT,
            "made_at": now.isoformat(),
            "program": f"ferriage {__version__}",
            "decisions": count,
            "head": head,
            "files": pack.digests,
        }
        seal = pack.add("manifest.json", [chain.canonical(manifest).encode()], listed=False)
        pack.add("SEAL", [f"{seal}\n".encode()], listed=False)
    return Made(files=len(pack.digests), decisions=count, head=head, seal=seal)


def _register(pack: _Pack) -> None:
    parties = Party.objects.order_by("pk")
    columns = ("code", "name", "place", "register_number")
    pack.add_json("register/parties.json", [_row(party, columns) for party in parties])
    lines = Line.objects.select_related("party").order_by("pk")
    pack.add_json(
        "register/lines.json",
        [{**_row(line, _LINE_COLUMNS), "operator": line.party.code} for line in lines],
    )
    determinations = Determination.objects.select_related("party").order_by("pk")
    pack.add_json(
        "register/determinations.json",
        [{**_row(row, _DETERMINATION_COLUMNS), "party": row.party.code} for row in determinations],
    )
    pack.add_json("register/approvals.json", _approvals())
    repairs = ClockRepair.objects.prefetch_related("outside_answers").order_by("pk")
    pack.add_json(
        "register/clock-repairs.json",
        [{**_row(row, _REPAIR_COLUMNS), "outside_answers": _answers(row)} for row in repairs],
    )


def _approvals() -> list[dict[str, Any]]:
    changes: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    noted = AuditEntry.objects.filter(action__startswith="approval.").order_by("sequence")
    for entry in noted:
        who = f"{entry.actor_kind}:{entry.actor_code}"
        said = {"at": entry.at.isoformat(), "what": entry.action, "who": who}
        changes[entry.subject].append(said)
    rows = Approval.objects.select_related("holder", "supersedes").prefetch_related(
        "lines", "outside_answers"
    )
    return [
        {
            **_row(row, _APPROVAL_COLUMNS),
            "holder": row.holder.code,
            "supersedes": row.supersedes.code if row.supersedes else None,
            "lines": sorted(scope.line_code for scope in row.lines.all()),
            "changes": changes[row.code],
            "outside_answers": _answers(row),
        }
        for row in rows.order_by("pk")
    ]


def _answers(row: Approval | ClockRepair) -> list[dict[str, Any]]:
    """Return what people outside the house said of a record."""
    answers = sorted(row.outside_answers.all(), key=lambda answer: answer.at)
    return [_row(answer, _ANSWER_COLUMNS) for answer in answers]


def _evidence(pack: _Pack) -> None:
    """Write each file once, under its digest, and the list of what each proves."""
    rows = list(Evidence.objects.select_related("approval", "determination").order_by("pk"))
    listed = [
        {
            **_row(row, _EVIDENCE_COLUMNS),
            "approval": row.approval.code if row.approval else None,
            "determination": row.determination.code if row.determination else None,
        }
        for row in rows
    ]
    pack.add_json("register/evidence.json", listed)
    for row in {row.sha256: row for row in rows}.values():
        data = evidence.read(row)
        # What is missing is not left out silently: the list names it, and the verifier says so.
        if data is not None:
            pack.add(f"evidence/{row.sha256}", [data])


def _row(row: object, columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: getattr(row, column) for column in columns}
