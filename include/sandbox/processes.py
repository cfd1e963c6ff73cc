"""Start servers, remember them, and stop every one of them, also after a crash.

A process is known by its pid *and* the kernel's start time, so that a stale record never kills a
stranger who was given the same pid. Each process leads a session (and group) of its own and carries
the world's token in its environment, which finds what slipped out of its group.
"""

from __future__ import annotations

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from include.sandbox.process_groups import (
    WORLD_VARIABLE,
    Running,
    alive,
    children,
    end_strays,
    identity_of,
    stop_together,
)

log = logging.getLogger(__name__)

__all__ = [
    "ProcessTable", "Running", "SandboxError", "alive", "free_port", "identity_of", "responds", "tail",
    "wait_until",
]  # fmt: skip


class SandboxError(RuntimeError):
    """A server of the embedded world is missing, failed to start or is in the way."""


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
        children[child.pid] = child
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
            killed += stop_together([process for process in chosen if process.wave == wave], token, grace)
        if wanted is None and token:
            killed += end_strays(token)
        rest = [
            entry
            for entry in self.read().get("processes", [])
            if wanted is not None and entry["name"] not in wanted
        ]
        if self.path.exists():
            self.update(processes=rest)
        return killed
