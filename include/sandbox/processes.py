"""Start servers, remember them, and stop every one of them, also after a crash.

A process is known by its pid *and* the kernel's start time, so that a stale record never kills a
stranger who was given the same pid. Each process leads a session (and group) of its own and carries
the world's token in its environment, which finds what slipped out of its group.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import logging
import os
import platform
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types

log = logging.getLogger(__name__)

WORLD_VARIABLE = "SANDBOX_WORLD"
_children: dict[int, subprocess.Popen[bytes]] = {}


class SandboxError(RuntimeError):
    """A server of the embedded world is missing, failed to start or is in the way."""


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
    child = _children.get(process.pid)
    if child is None:
        return identity_of(process.pid) == process.identity
    if child.poll() is None:
        # Its pid stays taken until we have reaped it.
        return True
    del _children[process.pid]
    return False


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def responds(endpoint: str, path: str) -> bool:
    """Whether ``http://host:port`` answers a GET of ``path`` with 200 within two seconds."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until(ready: Callable[[], bool], *, process: Running, seconds: float) -> None:
    """Return when ``ready()`` is true; fail when the process dies or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not alive(process):
            raise SandboxError(f"{process.name} stopped while starting. Its log ends: {tail(process.log)}")
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{process.name} was not ready after {seconds:.0f} s. Its log ends: {tail(process.log)}"
            )
        time.sleep(0.02)


def tail(path: str, lines: int = 15) -> str:
    """The last lines of a log file, for an error message."""
    try:
        return "\n" + "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _die_with_parent(death: int) -> Callable[[], None] | None:
    """Ask Linux to signal the child when its parent dies: a killed test run leaves nothing behind."""
    if platform.system() != "Linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(1, death, 0, 0, 0)  # PR_SET_PDEATHSIG


class ProcessTable:
    """The processes of one world, recorded in ``<folder>/state.json`` (readable by the owner only)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "state.json"

    def read(self) -> dict[str, Any]:
        """The recorded state; empty when there is none."""
        try:
            return dict(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise SandboxError(
                f"{self.path} is not readable JSON ({error}); remove it after checking."
            ) from None

    def update(self, **values: Any) -> dict[str, Any]:
        """Change some entries of the state, replacing the file in one step."""
        state = self.read()
        state.setdefault("token", secrets.token_hex(16))
        state.update(values)
        draft = self.path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(state, indent=1))
        draft.replace(self.path)
        return state

    def recorded(self) -> list[Running]:
        """Every recorded process, running or not, in the order of their start."""
        return [Running(**entry) for entry in self.read().get("processes", [])]

    def running(self) -> list[Running]:
        """The recorded processes that still run."""
        return [process for process in self.recorded() if alive(process)]

    def find(self, name: str) -> Running | None:
        """The running process of this name."""
        return next((process for process in self.running() if process.name == name), None)

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        wave: int = 0,
        stop_signal: int = signal.SIGTERM,
        user: tuple[int, int] | None = None,
        tied: bool = False,
        tied_signal: int = signal.SIGKILL,
    ) -> Running:
        """Start a process in a session of its own, its output in ``<folder>/logs/<name>.log``.

        ``env`` is the whole environment (default: this process's). ``user`` is (uid, gid) to
        become. ``tied`` ends it with this process (Linux), for tests.
        """
        # The token is on disk before the process exists: a crash in between still leaves it findable.
        token = self.update()["token"]
        logfile = self.folder / "logs" / f"{name}.log"
        logfile.parent.mkdir(exist_ok=True)
        with logfile.open("ab") as output:
            child = subprocess.Popen(
                list(argv),
                env={**(os.environ if env is None else env), WORLD_VARIABLE: token},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
                preexec_fn=_die_with_parent(tied_signal) if tied else None,
            )
        _children[child.pid] = child
        identity = identity_of(child.pid) or "gone"
        process = Running(name, child.pid, identity, wave, int(stop_signal), str(logfile))
        others = [entry for entry in self.read().get("processes", []) if entry["name"] != name]
        self.update(processes=[*others, asdict(process)])
        return process

    def stop(self, names: Iterable[str] | None = None, *, grace: float = 15.0) -> list[str]:
        """Stop the named processes (default: all), wave by wave; returns the names that had to be killed.

        Signals the whole group, waits ``grace`` seconds, kills, and, when all are stopped, ends
        whatever else carries this world's token.
        """
        wanted = set(names) if names is not None else None
        chosen = [process for process in self.recorded() if wanted is None or process.name in wanted]
        token = self.read().get("token", "")
        killed: list[str] = []
        for wave in sorted({process.wave for process in chosen}, reverse=True):
            killed += _stop_together([process for process in chosen if process.wave == wave], token, grace)
        if wanted is None and token:
            killed += _end_strays(token)
        rest = [
            entry
            for entry in self.read().get("processes", [])
            if wanted is not None and entry["name"] not in wanted
        ]
        if self.path.exists():
            self.update(processes=rest)
        return killed


def _stop_together(processes: Sequence[Running], token: str, grace: float) -> list[str]:
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


def _end_strays(token: str) -> list[str]:
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
