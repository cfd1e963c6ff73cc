"""The shop itself: what is promised about commands, pages, images and imports is true."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.tools import dag_docs

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def run(*argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(a) for a in argv],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def tracked() -> list[Path]:
    listed = run("git", "ls-files", "-z")
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_alone_lists_every_command_on_one_line_each() -> None:
    listed = run("make", "--no-print-directory").stdout.splitlines()
    assert {line.split()[1] for line in listed} == make_targets(), "a target without `## what it does`?"
    assert all(len(line) < 120 for line in listed)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_make_command_in_the_pages_exists(page: Path) -> None:
    named = set(re.findall(r"`make ([a-z]+)|^\s*make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert {a or b for a, b in named} <= make_targets()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_to_a_file_in_the_pages_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_path_named_in_the_pages_exists(page: Path) -> None:
    named = re.findall(r"`((?:include|dags|plugins|config|docs|tests)/[A-Za-z0-9_./-]+)`", page.read_text())
    missing = sorted({n for n in named if not (ROOT / n.rstrip("/")).exists()})
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_of_the_privacy_program_in_the_pages_exists(page: Path) -> None:
    known = set(
        re.findall(
            r"^    ([\w-]+)(?: |$)",
            run(sys.executable, "-m", "include.privacy", "--help").stdout,
            re.MULTILINE,
        )
    )
    named = set(re.findall(r"python -m include\.privacy ([a-z][\w-]*)", page.read_text()))
    assert named <= known


def test_the_page_of_dags_is_current() -> None:
    assert dag_docs.main(["--check"]) == 0


def test_the_page_of_dags_names_what_a_dag_file_lacks(tmp_path: Path) -> None:
    mute = tmp_path / "erase_all.py"
    mute.write_text("from airflow.sdk import dag\n")
    with pytest.raises(ValueError, match=r"dags/erase_all\.py: .*docstring"):
        dag_docs.read_dag(mute)


def test_the_page_of_dags_is_made_from_the_syntax_alone(tmp_path: Path) -> None:
    file = tmp_path / "sweep_attic.py"
    file.write_text(
        '"""Sweep the attic."""\n'
        'NIGHTLY = "0 3 * * *"\n'
        "from nowhere import dag, task\n"
        '@dag(schedule=NIGHTLY, tags=[Tag.retention, "x"],\n'
        ' params={"dry_run": Param(False, description="Only look")})\n'
        "def sweep_attic():\n"
        "    @task\n"
        "    def look(): ...\n"
    )
    page = dag_docs.read_dag(file)
    assert (page.schedule, page.tags, page.params) == (
        "0 3 * * *",
        ("retention", "x"),
        (("dry_run", "Only look"),),
    )


def test_the_compose_file_satisfies_the_real_compose_program(tmp_path: Path) -> None:
    done = run(BIN / "docker-compose", "config", "--format", "json", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert airflow | {"postgres", "world", "metadata"} == set(services)
    for name in airflow:
        targets = {volume["target"] for volume in services[name]["volumes"]}
        assert {"/opt/privacy/include", "/opt/privacy/config", "/opt/privacy/dags"} <= targets, name
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port["host_ip"] == "127.0.0.1" for port in published), (
        "only this machine may reach the sandbox"
    )


def test_the_dockerfile_satisfies_hadolint() -> None:
    done = run(BIN / "hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_image_runs_the_python_that_the_lock_was_made_for() -> None:
    base = re.search(r"^FROM python:(\d+\.\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    locked = re.search(r"--python-version (\S+)", (ROOT / "requirements.txt").read_text())
    assert base and locked and base[1] == locked[1]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_locks_hold_every_named_package_with_hashes_and_no_registry(name: str) -> None:
    lock = (ROOT / f"{name}.txt").read_text()
    assert (
        "http://" not in lock
        and "https://" not in lock
        and "--index" not in lock
        and "--find-links" not in lock
    )
    entries = re.split(r"\n(?=[a-z0-9])", lock)
    assert all("--hash=sha256:" in e for e in entries if "==" in e.split("\n")[0])
    named = re.findall(r"^([A-Za-z][A-Za-z0-9-]+)", (ROOT / f"{name}.in").read_text(), re.MULTILINE)
    assert all(re.search(rf"^{n.lower()}(\[[^\]]*\])?==", lock, re.MULTILINE) for n in named)


def test_both_locks_agree_on_every_version() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(
            re.findall(
                r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s\\;]+)", (ROOT / name).read_text(), re.MULTILINE
            )
        )

    runtime, development = pins("requirements.txt"), pins("requirements-dev.txt")
    differing = {n for n in runtime if development.get(n) != runtime[n]}
    assert not differing, "tests must run with the packages of production; run make lock"


def test_nothing_committed_names_a_machine_or_a_secret() -> None:
    telling = re.compile(
        r"/home/\w+/|/Users/\w+/|(?<![\w/])/root/|(?<![\w/.])/work/"
        r"|AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY"
    )
    own = Path(__file__)
    found = []
    for path in tracked():
        if path == own or path.name.startswith("requirements"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for m in telling.finditer(text)]
    assert not found


def test_only_what_should_be_committed_is() -> None:
    names = {str(path.relative_to(ROOT)) for path in tracked()}
    junk = [
        n for n in names if n.startswith((".sandbox/", ".venv/")) or n.endswith((".pyc", ".log", ".sqlite3"))
    ]
    assert not junk


def test_imports_run_downwards_only() -> None:
    done = run(BIN / "lint-imports", "--no-logo", "--no-cache")
    assert done.returncode == 0, done.stdout


def test_nothing_in_include_imports_airflow_at_module_level() -> None:
    """Proved by importing everything, not by reading it."""
    code = (
        "import importlib, pkgutil, sys, include\n"
        "for m in pkgutil.walk_packages(include.__path__, 'include.'):\n"
        "    if '.migrations' not in m.name and not m.name.endswith('__main__'):\n"
        "        importlib.import_module(m.name)\n"
        "sys.exit(', '.join(sorted(m for m in sys.modules if m.split('.')[0] == 'airflow')[:5]) or 0)\n"
    )
    done = run(sys.executable, "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr


def test_dags_and_plugins_import_use_cases_and_nothing_lower() -> None:
    lower = re.compile(r"include\.privacy\.(stores|ledger|planning|policy|clock)|include\.sandbox")
    found = []
    for path in [*ROOT.glob("dags/*.py"), *ROOT.glob("plugins/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            found += [f"{path.name}: {n}" for n in names if lower.match(n)]
    assert not found


def test_no_file_of_the_domain_is_longer_than_300_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {n}"
        for path in (ROOT / "include" / "privacy").rglob("*.py")
        if (n := len(path.read_text().splitlines())) > 300
    ]
    assert not long


def test_every_dag_fits_on_a_page() -> None:
    long = [p.name for p in ROOT.glob("dags/*.py") if len(p.read_text().splitlines()) > 120]
    assert not long
