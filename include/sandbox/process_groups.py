"""One started process and its group: whether it still runs, and how it is stopped with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types

# Every process of a world carries the world's token in this variable.
WORLD_VARIABLE = "SANDBOX_WORLD"
# Our own children by pid; they have to be reaped, and until then their pid is theirs.
children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Running:
    """One started process. ``identity`` is its start time as the kernel states it.

    ``wave`` orders stopping: the highest first, all of one wave together.
    """

    name: str
    pid: int
    identity: str
    wave: int = 0
    stop_signal: int = int(signal.SIGTERM)
    log: str = ""


def identity_of(pid: int) -> str | None:
    """When the process ``pid`` started, in the kernel's own words; None when there is none.

    On Linux: boot id and start tick, which no change of the wall clock moves.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # No /proc (macOS), or no such process.
        with contextlib.suppress(psutil.Error):
            return f"created:{psutil.Process(pid).create_time()}"
        return None
    fields = stat.rpartition(")")[2].split()
    return f"{boot}:{fields[19]}" if fields[0] not in ("Z", "X") else None


def alive(process: Running) -> bool:
    """Whether this very process runs; a zombie or another process with its pid does not count."""
    child = children.get(process.pid)
    if child is None:
        return identity_of(process.pid) == process.identity
    if child.poll() is None:
        # Its pid stays taken until we have reaped it.
        return True
    del children[process.pid]
    return False


def stop_together(processes: Sequence[Running], token: str, grace: float) -> list[str]:
    """Signal the groups, wait ``grace`` seconds, kill; the names of those that had to be killed."""
    for process in processes:
        _signal_group(process, process.stop_signal, token)
    deadline = time.monotonic() + grace
    left = [process for process in processes if _group_alive(process, token)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if _group_alive(process, token)]
    for process in left:
        _signal_group(process, signal.SIGKILL, token)
    while any(_group_alive(process, token) for process in left):
        time.sleep(0.02)
    return [process.name for process in left]


def _members(process: Running, token: str) -> list[psutil.Process]:
    """Who is left of the group after its leader died; only those that carry our token."""
    found = []
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(other.pid) == process.pid and _carries(other, token):
                found.append(other)
    return found


def _group_alive(process: Running, token: str) -> bool:
    if alive(process):
        return True
    try:
        os.killpg(process.pid, 0)
    except OSError:
        return False
    return bool(_members(process, token))


def _signal_group(process: Running, number: int, token: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        if alive(process):
            os.killpg(process.pid, number)
            return
    for member in _members(process, token):
        with contextlib.suppress(psutil.Error):
            member.send_signal(number)


def _carries(process: psutil.Process, token: str) -> bool:
    return (
        bool(token)
        and process.environ().get(WORLD_VARIABLE) == token
        and process.status() != psutil.STATUS_ZOMBIE
    )


def _strays(token: str) -> Iterator[psutil.Process]:
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if other.pid != os.getpid() and _carries(other, token):
                yield other


def end_strays(token: str) -> list[str]:
    """End every process that carries the token, whatever its group."""
    strays = list(_strays(token))
    for stray in strays:
        with contextlib.suppress(psutil.Error):
            stray.terminate()
    _, left = psutil.wait_procs(strays, timeout=5)
    for stray in left:
        with contextlib.suppress(psutil.Error):
            stray.kill()
    psutil.wait_procs(left, timeout=5)
    return [f"stray process {stray.pid}" for stray in strays]
