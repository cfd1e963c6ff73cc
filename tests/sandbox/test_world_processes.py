"""Processes are stopped with all their children, and nobody else's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from include.sandbox.processes import ProcessTable, SandboxError, alive, free_port, identity_of, wait_until

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session={{session}})\n"
    "print(child.pid, flush=True)\n{then}"
)


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def printed_pid(table: ProcessTable, name: str) -> int:
    logfile = table.folder / "logs" / f"{name}.log"
    deadline = time.monotonic() + 20
    while not (logfile.exists() and logfile.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return int(logfile.read_text().split()[0])


@pytest.fixture
def table(tmp_path: Path):
    made = ProcessTable(tmp_path)
    yield made
    made.stop(grace=0.1)


def test_stopping_ends_the_process_and_forgets_it(table: ProcessTable):
    process = table.spawn("sleeper", python(SLEEP))
    assert alive(process)
    assert table.find("sleeper") == process
    assert table.stop() == []
    assert identity_of(process.pid) is None
    assert table.recorded() == []


def test_a_process_that_ignores_the_signal_is_killed_with_its_children(table: ProcessTable):
    process = table.spawn("stubborn", python(STUBBORN.format(session=False, then="time.sleep(60)")))
    child = printed_pid(table, "stubborn")
    assert table.stop(grace=0.3) == ["stubborn"]
    assert identity_of(process.pid) is None
    assert identity_of(child) is None


def test_children_that_outlive_their_leader_are_stopped(table: ProcessTable):
    process = table.spawn("leader", python(STUBBORN.format(session=False, then="")))
    child = printed_pid(table, "leader")
    while alive(process):
        time.sleep(0.02)
    assert identity_of(child)
    table.stop(grace=2)
    assert identity_of(child) is None


def test_a_child_that_left_the_group_is_found_by_its_token(table: ProcessTable):
    table.spawn("daemoniser", python(STUBBORN.format(session=True, then="")))
    child = printed_pid(table, "daemoniser")
    assert table.stop(grace=2) == [f"stray process {child}"]
    assert identity_of(child) is None


def test_a_stale_record_never_kills_the_stranger_who_has_the_pid_now(table: ProcessTable):
    mine = table.spawn("mine", python(SLEEP))
    # Start times are told to a hundredth of a second; whoever gets a used pid starts later than that.
    time.sleep(0.1)
    stranger = subprocess.Popen(python(SLEEP), start_new_session=True)
    try:
        stale = replace(mine, name="stale", pid=stranger.pid)
        table.update(processes=[asdict(mine), asdict(stale)])
        assert [process.name for process in table.running()] == ["mine"]
        table.stop(grace=1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_waves_stop_from_the_highest_to_the_lowest(table: ProcessTable):
    report = table.folder / "order"
    program = (
        "import signal, sys, time; from pathlib import Path\n"
        "def end(*_):\n    with open(sys.argv[1], 'a') as f: f.write(sys.argv[2])\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(60)"
    )
    for wave in (1, 0, 2):
        table.spawn(f"w{wave}", [*python(program), str(report), str(wave)], wave=wave)
        while "ready" not in (table.folder / "logs" / f"w{wave}.log").read_text():
            time.sleep(0.02)
    table.stop()
    assert report.read_text() == "210"


def test_only_the_named_processes_are_stopped(table: ProcessTable):
    one, two = table.spawn("one", python(SLEEP)), table.spawn("two", python(SLEEP))
    table.stop(["one"])
    assert not alive(one)
    assert alive(two)
    assert [process.name for process in table.recorded()] == ["two"]


def test_a_server_that_dies_while_starting_is_reported_with_the_end_of_its_log(table: ProcessTable):
    process = table.spawn("broken", python("import sys; sys.exit('no such luck')"))
    with pytest.raises(SandboxError, match="no such luck"):
        wait_until(lambda: False, process=process, seconds=20)


def test_a_tied_process_dies_with_its_parent(tmp_path: Path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from include.sandbox.processes import ProcessTable\n"
        f"argv = [sys.executable, '-c', {SLEEP!r}]\n"
        "process = ProcessTable(Path(sys.argv[1])).spawn('s', argv, tied=True)\n"
        "print(process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*python(program), str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while identity_of(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert identity_of(pid) is None


def test_a_damaged_state_file_is_named_in_the_error(table: ProcessTable):
    table.path.write_text("{")
    with pytest.raises(SandboxError, match=r"state\.json"):
        table.recorded()
    table.path.unlink()


def test_a_free_port_is_free():
    assert not any(item.laddr.port == free_port() for item in psutil.net_connections() if item.laddr)
