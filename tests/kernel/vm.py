"""Runs a program on a real kernel of Debian's, in a virtual machine that sees this host's files.

    host: vm.py ── starts ──> qemu ── boots ──> kernel of .tools/kernel, tests/kernel/init
                                │                 │
          / ── 9p, read-only ───┘                 └─ /, with a layer of memory above
          our standard output <── ttyS1 ── the program; its exit code is ours

The processor is emulated, so this needs neither hardware nor rights for virtual machines, and
takes a multiple of the time. Nothing the program does reaches this host.

    sudo .venv/bin/python tests/kernel/vm.py [--seconds N] PROGRAM [ARGUMENT …]
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CLONE = HERE.parents[1]
KERNEL = CLONE / ".tools/kernel"
QEMU = "qemu-system-x86_64"
BUSYBOX = Path("/bin/busybox")
FIRST_MODULES = ("drivers/virtio", "net/9p", "fs/9p", "fs/fscache", "fs/netfs", "fs/overlayfs")
MEMORY_MIB = 2048
TIMED_OUT = 124

AFTER_BOOT = """
exec </dev/null >/dev/ttyS1 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mkdir -p /lib/modules
ln -sfn {kernel}/lib/modules/{version} /lib/modules/{version}
[ -e /sbin/modprobe ] || ln -s /bin/busybox /sbin/modprobe
modprobe tun
ip link set lo up
cd {clone}
{environment} {command}
echo $? >/dev/ttyS2
sync
echo b >/proc/sysrq-trigger
"""


def image() -> Path:
    """Return the kernel that `./setup kernel` has unpacked."""
    found = sorted((KERNEL / "boot").glob("vmlinuz-*")) if KERNEL.exists() else []
    missing = [name for name in (QEMU, str(BUSYBOX)) if not shutil.which(name)]
    if missing or not found:
        sys.exit(f"{', '.join(missing) or 'A kernel'} is not here; run ./setup kernel")
    return found[-1]


def initramfs(home: Path, version: str, after_boot: str) -> Path:
    """Pack what the kernel needs until it has the host's files."""
    tree = home / "tree"
    for name in ("bin", "proc", "sys", "dev", "host", "memory", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    shutil.copy(HERE / "init", tree / "init")
    (tree / "init").chmod(0o755)
    (tree / "after-boot").write_text(after_boot)
    modules = KERNEL / "lib/modules" / version / "kernel"
    for name in FIRST_MODULES:
        if (modules / name).exists():
            shutil.copytree(modules / name, tree / "lib/modules" / version / "kernel" / name)
    subprocess.run([BUSYBOX, "depmod", "-b", tree, version], check=True)
    packed = home / "initramfs"
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with packed.open("wb") as file:
        pack = [BUSYBOX, "cpio", "-o", "-H", "newc"]
        subprocess.run(
            pack, cwd=tree, input=names.encode(), stdout=file, stderr=subprocess.DEVNULL, check=True
        )
    return packed


def command_line(home: Path, kernel: Path, packed: Path) -> list[str]:
    """Return how qemu is started: no network, no screen, three serial lines."""
    return [
        *("setpriv", "--pdeathsig", "KILL"),  # whatever becomes of this program
        *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB)),
        *("-kernel", str(kernel), "-initrd", str(packed)),
        *("-append", "console=ttyS0 quiet panic=-1 oops=panic"),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
        *("-serial", f"file:{home}/kernel.log", "-serial", "stdio"),
        *("-serial", f"file:{home}/exit-code"),
    ]


def run(command: list[str], *, seconds: float) -> int:
    """Boot, run the command in there, and return its exit code."""
    kernel = image()
    version = kernel.name.removeprefix("vmlinuz-")
    passed = {k: v for k, v in os.environ.items() if k.startswith(("FERRIAGE_TEST_", "PYTEST_"))}
    after_boot = AFTER_BOOT.format(
        kernel=shlex.quote(str(KERNEL)),
        version=version,
        clone=shlex.quote(str(CLONE)),
        environment=" ".join(f"{name}={shlex.quote(value)}" for name, value in passed.items()),
        command=shlex.join(command),
    )
    with tempfile.TemporaryDirectory(prefix="ferriage-vm-") as directory:
        home = Path(directory)
        packed = initramfs(home, version, after_boot)
        began = time.monotonic()
        machine = subprocess.Popen(command_line(home, kernel, packed), stdin=subprocess.DEVNULL)
        try:
            machine.wait(seconds)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"vm: {version} did not end within {seconds:.0f} s\n")
            return TIMED_OUT
        finally:
            machine.kill()
            machine.wait()
        sys.stderr.write(f"vm: {version}, {time.monotonic() - began:.0f} s\n")
        return exit_code(home)


def exit_code(home: Path) -> int:
    """Return what the program ended with; a machine that says nothing has failed."""
    text = (home / "exit-code").read_text().strip()
    if text.isdecimal():
        return int(text)
    sys.stderr.write((home / "kernel.log").read_text()[-4000:])
    sys.stderr.write("vm: the machine ended without an exit code\n")
    return 1


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    sys.exit(run(given.command, seconds=given.seconds))


if __name__ == "__main__":
    main()
