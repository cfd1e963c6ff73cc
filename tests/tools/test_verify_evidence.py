"""The verifier finds whatever was done to an export, names the row, and needs nothing of ours."""

from __future__ import annotations

import ast
import copy
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.evidence.notes import NoteSigner
from include.privacy.ledger.leaves import hash_of
from include.tools import verify_evidence as verifier
from tests.tools.exports import BEGIN, ORIGIN, SIGNER, checkpoint, entries, leaves, write

PROGRAM = Path(verifier.__file__)
KEYS = [verifier.Key.read(SIGNER.verifier_key)]
COUNT, SIZES = 60, [20, 41, 60]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def verify(folder: Path) -> list[str]:
    return verifier.verify_export(folder, KEYS).findings


def segment_lines(folder: Path) -> list[tuple[Path, int]]:
    paths = sorted((folder / "segments").glob("*.jsonl"))
    return [(path, n) for path in paths for n in range(len(path.read_bytes().splitlines()))]


def test_the_program_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    tree = ast.parse(PROGRAM.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}


@given(json_values)
def test_its_own_canonical_json_is_that_of_rfc_8785(value: Any) -> None:
    assert verifier.canonical(value).encode() == rfc8785.dumps(value)


@pytest.mark.parametrize("size", [0, 1, 2, 17, COUNT])
def test_an_untouched_log_holds(tmp_path: Path, size: int) -> None:
    rows = leaves(max(size, 1))
    result = verifier.verify_export(write(tmp_path / "log", rows, [len(rows)]), KEYS)
    assert (result.findings, result.size) == ([], len(rows))


def test_entries_after_the_last_checkpoint_are_told_and_no_finding(tmp_path: Path) -> None:
    result = verifier.verify_export(write(tmp_path / "log", leaves(25), [10, 20]), KEYS)
    assert result.findings == []
    assert "5 entries are newer" in result.notes[0]


# What somebody may do to the files without the signing key. Each returns the entry that must be named.
Change = Callable[[Path, random.Random], int | None]


def flip_a_character(folder: Path, rng: random.Random) -> int | None:
    path, n = rng.choice(segment_lines(folder))
    lines = path.read_bytes().splitlines(keepends=True)
    line = bytearray(lines[n])
    at = rng.randrange(len(line) - 1)
    line[at] = rng.choice([c for c in b'0123456789abcdefxyz"{},' if c != line[at]])
    lines[n] = bytes(line)
    path.write_bytes(b"".join(lines))
    return None


def change_a_value(folder: Path, rng: random.Random) -> int:
    path, n = rng.choice(segment_lines(folder))
    lines = path.read_text().split("\n")
    entry = json.loads(lines[n])
    leaf = entry["leaf"]
    leaf[rng.choice(["kind", "run_id", "request_id"])] = "forged"
    lines[n] = json.dumps(entry)
    path.write_text("\n".join(lines))
    return int(entry["index"])


def drop_a_row(folder: Path, rng: random.Random) -> int:
    path, n = rng.choice(segment_lines(folder))
    lines = path.read_bytes().splitlines(keepends=True)
    index = json.loads(lines.pop(n))["index"]
    path.write_bytes(b"".join(lines))
    return int(index)


def swap_two_rows(folder: Path, rng: random.Random) -> int:
    path = rng.choice(sorted((folder / "segments").glob("*.jsonl")))
    lines = path.read_bytes().splitlines(keepends=True)
    a, b = sorted(rng.sample(range(len(lines)), 2))
    first = json.loads(lines[a])["index"]
    lines[a], lines[b] = lines[b], lines[a]
    path.write_bytes(b"".join(lines))
    return int(first)


def repeat_a_row(folder: Path, rng: random.Random) -> int:
    path, n = rng.choice(segment_lines(folder))
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(n, lines[n])
    path.write_bytes(b"".join(lines))
    return int(json.loads(lines[n])["index"])


def cut_the_end(folder: Path, rng: random.Random) -> int:
    for path in sorted((folder / "segments").glob("*.jsonl"), reverse=True):
        if rng.random() < 0.5:
            lines = path.read_bytes().splitlines(keepends=True)
            keep = rng.randrange(len(lines))
            first = json.loads(lines[keep])["index"]
            path.write_bytes(b"".join(lines[:keep]))
            return int(first)
        first = json.loads(path.read_bytes().splitlines()[0])["index"]
        path.unlink()
    return int(first)


def damage_a_checkpoint(folder: Path, rng: random.Random) -> None:
    path = rng.choice(sorted((folder / "checkpoints").glob("*.note")))
    body = path.read_text()
    at = rng.randrange(len(body.partition("\n\n")[0]))
    path.write_text(body[:at] + ("x" if body[at] != "x" else "y") + body[at + 1 :])


def sign_with_another_key(folder: Path, rng: random.Random) -> None:
    stranger = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)))
    size = rng.choice(SIZES)
    (folder / "checkpoints" / f"{size:012d}.note").write_text(
        checkpoint(leaves(COUNT, seed=9), size, stranger)
    )


# What the owner of the ledger may do: hashes and chain are made anew over the whole log.
Rewrite = Callable[[list[dict[str, Any]], random.Random], int]


def rewrite_one(rows: list[dict[str, Any]], rng: random.Random) -> int:
    index = rng.randrange(COUNT)
    rows[index]["body"]["salt"] = -1
    return index


def leave_one_out(rows: list[dict[str, Any]], rng: random.Random) -> int:
    index = rng.randrange(COUNT)
    del rows[index]
    return index


def put_one_in(rows: list[dict[str, Any]], rng: random.Random) -> int:
    index = rng.randrange(COUNT)
    rows.insert(index, leaves(1, seed=3)[0])
    return index


def exchange_two(rows: list[dict[str, Any]], rng: random.Random) -> int:
    a, b = sorted(rng.sample(range(COUNT), 2))
    rows[a], rows[b] = rows[b], rows[a]
    return a


def date_one_back(rows: list[dict[str, Any]], rng: random.Random) -> int:
    index = rng.randrange(COUNT)
    rows[index]["at"] = (BEGIN - timedelta(days=90)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return index


CHANGES: list[Change] = [
    flip_a_character,
    change_a_value,
    drop_a_row,
    swap_two_rows,
    repeat_a_row,
    cut_the_end,
    damage_a_checkpoint,
    sign_with_another_key,
]
REWRITES: list[Rewrite] = [rewrite_one, leave_one_out, put_one_in, exchange_two, date_one_back]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("evidence") / "log", leaves(COUNT), SIZES)


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_every_change_of_the_files_is_found_and_the_row_is_named(
    original: Path, tmp_path: Path, change: Change
) -> None:
    for seed in range(20):
        folder = tmp_path / str(seed)
        shutil.copytree(original, folder)
        assert verify(folder) == []
        before = {path: path.read_bytes() for path in folder.rglob("*.*")}
        named = change(folder, random.Random(seed))
        if all(path.exists() and path.read_bytes() == content for path, content in before.items()):
            continue
        if change is flip_a_character and _means_the_same(before):
            continue
        found = verify(folder)
        assert found, (change.__name__, seed)
        if named is not None:
            numbers = {str(named), f"{named},"}
            assert any(numbers & set(each.replace(":", " ").split()) for each in found), (seed, named, found)


def _means_the_same(before: dict[Path, bytes]) -> bool:
    """Whether a flipped character left every line's JSON as it was (a digit's capital in a hash, say)."""
    for path, content in before.items():
        try:
            if [json.loads(x) for x in path.read_bytes().splitlines()] != [
                json.loads(x) for x in content.splitlines()
            ]:
                return False
        except ValueError:
            if path.suffix == ".jsonl":
                return False
    return True


@pytest.mark.parametrize("change", REWRITES, ids=lambda c: c.__name__)
def test_a_log_that_its_owner_wrote_anew_is_found_between_two_checkpoints(
    original: Path, tmp_path: Path, change: Rewrite
) -> None:
    for seed in range(15):
        rows = copy.deepcopy(leaves(COUNT))
        index = change(rows, random.Random(seed))
        folder = write(tmp_path / str(seed), rows, [])
        shutil.copytree(original / "checkpoints", folder / "checkpoints", dirs_exist_ok=True)
        found = verify(folder)
        assert found, (change.__name__, seed)
        held = max([size for size in [0, *SIZES] if size <= index])
        first = next(each for each in found if "among the entries" in each or "cut" in each)
        assert f"among the entries {held} to " in first or "cut" in first, (seed, index, found)


def test_a_row_dated_before_the_checkpoint_that_it_follows_is_named(tmp_path: Path) -> None:
    rows = leaves(COUNT)
    rows[45]["at"] = "2026-10-01T00:00:00.000000Z"
    [finding] = verify(write(tmp_path / "log", rows, SIZES))
    assert "entry 45 is back-dated" in finding


def test_a_row_dated_after_the_checkpoint_that_has_it_is_named(tmp_path: Path) -> None:
    rows = leaves(COUNT)
    rows[5]["at"] = "2027-01-01T00:00:00.000000Z"
    [finding] = verify(write(tmp_path / "log", rows, SIZES))
    assert "entry 5 is dated after 000000000020.note" in finding


def test_two_logs_under_one_name_are_a_fork(tmp_path: Path) -> None:
    folder = write(tmp_path / "log", leaves(COUNT), SIZES)
    (folder / "checkpoints" / "zz.note").write_text(checkpoint(leaves(COUNT, seed=8), 41))
    assert any("forked" in each for each in verify(folder))


def test_what_a_broken_publication_left_is_the_same_or_a_fork(tmp_path: Path) -> None:
    folder = write(tmp_path / "log", leaves(40), [40], segment=40)
    segments = folder / "segments"
    whole = (segments / "000000000000-000000000040.jsonl").read_bytes().splitlines(keepends=True)
    part = segments / "000000000000-000000000030.jsonl"
    part.write_bytes(b"".join(whole[:30]))
    assert verify(folder) == []
    part.write_bytes(b"".join(whole[:7] + whole[8:31]))
    [finding] = verify(folder)
    assert (
        "000000000030.jsonl line 8 is another one than in 000000000000-000000000040.jsonl: a fork" in finding
    )


def test_without_a_checkpoint_nothing_is_shown(tmp_path: Path) -> None:
    [finding] = verify(write(tmp_path / "log", leaves(5), []))
    assert "no valid checkpoint" in finding


def test_a_name_that_is_given_twice_does_not_pass(tmp_path: Path) -> None:
    folder = write(tmp_path / "log", leaves(3), [3])
    [path] = (folder / "segments").glob("*.jsonl")
    path.write_text(path.read_text().replace('{"chain"', '{"index":0,"chain"', 1))
    assert any("entry 0 is damaged" in each for each in verify(folder))


def test_it_runs_as_a_plain_script_with_a_key_from_a_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "log", leaves(20), [20])
    (tmp_path / "key").write_text(SIGNER.verifier_key + "\n")
    (tmp_path / "verify_evidence.py").write_bytes(PROGRAM.read_bytes())

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "verify_evidence.py", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    good = run(folder, "--key", "key")
    assert (good.returncode, good.stdout) == (0, "20 entries, 0 findings\n"), good.stderr
    next((folder / "segments").glob("*.jsonl")).unlink()
    bad = run(folder, "--key", SIGNER.verifier_key)
    assert bad.returncode == 1 and "entries 0 to 15" not in bad.stdout and "missing" in bad.stdout
    assert run("--key", SIGNER.verifier_key).returncode == 2


def test_the_leaf_hash_of_writer_and_verifier_agree() -> None:
    for each in entries(leaves(6)):
        assert each.leaf is not None
        assert verifier.sha256(b"\x00" + verifier.canonical(each.leaf).encode()) == hash_of(each.leaf)
