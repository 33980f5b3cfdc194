"""Checks an auditor's pack of Ferriage. It needs Python 3.9 or later and nothing else.

Unpack the pack into a directory of its own and run there:

    python verify.py
    python verify.py SEAL

SEAL is the line that was shown when the pack was made, noted on another way. Without it a pack
that somebody made anew, as a whole, cannot be told from the first one.

Exit code 0: every file is as it was packed. 1: the findings say what is not.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035 -- it runs on Pythons older than ours, too

GENESIS = "0" * 64
LINE = re.compile(rb'\{"content":(\{.*\}),"hash":"([0-9a-f]{64})","previous":"([0-9a-f]{64})"\}\n')


def sha256(data: bytes) -> str:
    """Return the digest of some bytes as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical(content: Any) -> bytes:
    """Return the one text that digests are made of: keys sorted, no spaces, no escapes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def findings(pack: Path, noted_seal: str = "") -> Iterator[str]:
    """Yield everything that is not as it was packed."""
    try:
        manifest = (pack / "manifest.json").read_bytes()
        seal = (pack / "SEAL").read_bytes()
    except OSError as error:
        yield f"{Path(str(error.filename)).name} cannot be read: {error.strerror}"
        return
    if seal != sha256(manifest).encode() + b"\n":
        yield "SEAL is not the seal of manifest.json: one of the two was changed"
    if noted_seal and noted_seal != sha256(manifest):
        yield "The seal is not the one that was noted: this is another pack"
    try:
        listed = json.loads(manifest)
        yield from _file_findings(pack, listed["files"])
        yield from _chain_findings(pack, listed["decisions"], listed["head"])
        yield from _evidence_findings(pack)
        yield from _sample_findings(pack)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        yield f"The pack cannot be followed further: {error!r}"


def _file_findings(pack: Path, listed: dict[str, str]) -> Iterator[str]:
    found = {
        path.relative_to(pack).as_posix()
        for path in pack.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in sorted(found - set(listed) - {"manifest.json", "SEAL"}):
        yield f"{name} does not belong to the pack"
    for name, digest in sorted(listed.items()):
        if name not in found:
            yield f"{name} is missing"
        elif sha256((pack / name).read_bytes()) != digest:
            yield f"{name} was changed"


def _chain_findings(pack: Path, count: int, head: str) -> Iterator[str]:
    """Follow the Decisions; each hash covers the one before."""
    last, number = GENESIS, 0
    with (pack / "decisions.jsonl").open("rb") as lines:
        for number, text in enumerate(lines, start=1):
            fits = LINE.fullmatch(text)
            if not fits or fits[3].decode() != last:
                yield f"decisions.jsonl: Decision {number} does not follow the one before"
                return
            last = fits[2].decode()
            if sha256(fits[3] + b"\n" + fits[1]) != last:
                yield f"decisions.jsonl: Decision {number} is not what its hash was made of"
                return
            if json.loads(fits[1])["sequence"] != number:
                yield f"decisions.jsonl: Decision {number} is missing"
                return
    if (number, last) != (count, head):
        yield "decisions.jsonl does not end where the manifest says"


def _evidence_findings(pack: Path) -> Iterator[str]:
    """Look for each file of evidence under its digest, and whether it has that digest."""
    rows = json.loads((pack / "register" / "evidence.json").read_bytes())
    for digest in sorted({row["sha256"] for row in rows}):
        file = pack / "evidence" / digest
        if not file.is_file():
            yield f"evidence/{digest} was not there when the pack was made"
        elif sha256(file.read_bytes()) != digest:
            yield f"evidence/{digest} is not the file that was handed in"


def _sample_findings(pack: Path) -> Iterator[str]:
    """Make the digest of each sample's facts anew and compare it with the chain's."""
    wanted = {row["sequence"]: row for row in json.loads((pack / "sample.json").read_bytes())}
    with (pack / "decisions.jsonl").open("rb") as lines:
        for number, text in enumerate(lines, start=1):
            if number in wanted:
                content = json.loads(text)["content"]
                yield from _one_sample(wanted.pop(number), content)
    for number in sorted(wanted):
        yield f"sample.json: there is no Decision {number}"


def _one_sample(sample: dict[str, Any], decision: dict[str, Any]) -> Iterator[str]:
    digest = sha256(canonical(sample["facts"]))
    if digest != sample["facts_digest"]:
        yield f"sample.json: the facts of Decision {sample['sequence']} have another digest"
    if sample["same_facts"] != (digest == decision["inputs"]):
        yield f"sample.json: Decision {sample['sequence']} was not made of these facts"
    if sample["same_facts"] and sample["same_packs"] and not sample["same_verdict"]:
        yield f"sample.json: Decision {sample['sequence']} does not follow from its facts"


def main() -> int:
    """Check the pack beside this file and say what was found."""
    pack = Path(__file__).resolve().parent
    found = list(findings(pack, sys.argv[1] if len(sys.argv) > 1 else ""))
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    if found:
        sys.stdout.write(f"{len(found)} findings. This pack is not as it was made.\n")
        return 1
    manifest = json.loads((pack / "manifest.json").read_bytes())
    sample = json.loads((pack / "sample.json").read_bytes())
    repeated = sum(row["same_facts"] and row["same_packs"] for row in sample)
    sys.stdout.write(
        f"Sound: {len(manifest['files'])} files, {manifest['decisions']} Decisions, "
        f"{repeated} of {len(sample)} sampled orders judged again from the same facts and packs.\n"
        f"Seal {(pack / 'SEAL').read_text().strip()}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
