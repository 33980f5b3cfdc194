"""What a host that is to become a gateway fetches from the shop, and the block that fetches it.

The bundle is a function of the installed release alone: every process of the shop makes the same
bytes, so the digest that one of them puts into a block is the one that another serves.

Source: docs/decisions/0038-second-gateway.md
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import shlex
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

import ferriage
from ferriage.core.errors import FerriageError
from ferriage.fleet import site

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE: Final = Path(ferriage.__file__).parent
_HOME: Final = _PACKAGE.parents[1]
_BESIDES: Final = (
    *("deploy/gateway.sh", "deploy/apt.txt", "deploy/ferriage-agent.service"),
    *("deploy/ferriage-hold.service", "requirements/agent.txt"),
)
_WHEEL: Final = f"ferriage-{ferriage.__version__}-py3-none-any.whl"
_INFO: Final = f"ferriage-{ferriage.__version__}.dist-info"
# The agent asks for less than the shop, which takes 3.12: Debian 12 has 3.11.
_METADATA: Final = f"""\
Metadata-Version: 2.1
Name: ferriage
Version: {ferriage.__version__}
Requires-Python: >=3.11
License: Apache-2.0
"""
_FORM: Final = """\
Wheel-Version: 1.0
Generator: ferriage
Root-Is-Purelib: true
Tag: py3-none-any
"""
_COMMANDS: Final = "[console_scripts]\nferriage = ferriage.cli:main\n"
_OLDEST: Final = (1980, 1, 1, 0, 0, 0)

_BLOCK: Final = """\
(
set -eu
umask 022
command -v curl >/dev/null || {{
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \\
    curl ca-certificates </dev/null >/dev/null
}}
at=$(mktemp -d)
trap 'rm -rf "$at"' EXIT
curl -fsS --retry 3 -o "$at/agent.tar.gz" {url} || {{
  echo "The shop does not give this file. Make a new block: each release has its own." >&2
  exit 1
}}
echo "{digest}  $at/agent.tar.gz" | sha256sum --check --quiet -
tar -xzf "$at/agent.tar.gz" -C "$at" --no-same-owner
sh "$at/gateway.sh" {token} </dev/null
)
"""


class NoBundle(FerriageError):
    """The release lies here in a form that no gateway can be made from."""

    slug = "no-bundle"
    status = 503


class OnlyHere(FerriageError):
    """A host that pasted a block could never reach the shop at the addresses that it is told."""

    slug = "only-here"


def block(token: str) -> str:
    """Return what makes a bare Debian host the gateway of a token, to be pasted there as root.

    It names the digest of what it fetches, so nothing but this shop's own bytes run, whoever
    stands between. Pasted twice it does no harm.

    Raises:
        NoBundle: This shop was installed without the files it takes.
        OnlyHere: The shop's address or the hub's means, on each host, that host itself. On the
            shop's own machine the token alone is enough.
    """
    _refuse_only_here(site.only_here())
    digest = digest_of(bundle())
    url = f"{site.site_url()}/gateway/v1/agent/{digest}.tar.gz"
    return _BLOCK.format(url=shlex.quote(url), digest=digest, token=shlex.quote(token))


def _refuse_only_here(wrong: Mapping[str, str]) -> None:
    if wrong:
        said = ", ".join(f"{name} = {url}" for name, url in wrong.items())
        raise OnlyHere(
            _(
                "No block to paste on another host is shown. There, an address of this shop "
                "would mean that host itself: %s."
            )
            % said,
            _(
                "Write into the settings file where other hosts reach the shop (%s), start it "
                "again, and make a new token. A gateway on the shop's own machine needs no block."
            )
            % ", ".join(wrong),
        )


def digest_of(data: bytes) -> str:
    """Return the name of a bundle: SHA-256 of its bytes, as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@cache
def bundle() -> bytes:
    """Return agent, hashed requirements, units and the script that installs them, as a .tar.gz.

    Raises:
        NoBundle: This shop was installed without the files it takes.
    """
    try:
        files = {Path(name).name: (_HOME / name).read_bytes() for name in _BESIDES}
    except FileNotFoundError as error:
        raise NoBundle(
            _("This shop was installed without the directories deploy and requirements."),
            _("Install it from its whole directory, by ./setup; or set the gateway up by hand."),
        ) from error
    return gzip.compress(_tar({**files, _WHEEL: _wheel()}), mtime=0)


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _wheel() -> bytes:
    """Return this installed package as a wheel; the host needs no tool that builds one."""
    files = {
        str(path.relative_to(_PACKAGE.parent)): path.read_bytes()
        for path in _PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files |= {
        f"{_INFO}/{name}": text.encode()
        for name, text in (
            ("METADATA", _METADATA),
            ("WHEEL", _FORM),
            ("entry_points.txt", _COMMANDS),
        )
    }
    record = "".join(f"{name},{_hash(data)},{len(data)}\n" for name, data in sorted(files.items()))
    files[f"{_INFO}/RECORD"] = f"{record}{_INFO}/RECORD,,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _OLDEST)
            entry.external_attr = 0o644 << 16
            # Stored: the bundle around it is compressed, and once is enough.
            archive.writestr(entry, data, zipfile.ZIP_STORED)
    return out.getvalue()


def _hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
    return f"sha256={digest.rstrip('=')}"
