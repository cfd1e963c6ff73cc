"""A certificate of erasure holds without us: signed, in the log, and it says what was done."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from include.privacy.__main__ import main
from include.privacy.evidence import certificates, connecting, renewing
from include.privacy.evidence.certificate_page import page_of
from include.tools import verify_evidence as verifier
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(150)
PROGRAM = Path(verifier.__file__)


def a_person(estate: Estate) -> tuple[int, str, str]:
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        row = accounts.execute(
            "SELECT id, email, full_name FROM accounts WHERE status = 'active' AND id > 20 ORDER BY id"
        ).fetchone()
    assert row is not None
    return int(row[0]), str(row[1]), str(row[2])


def keys() -> list[verifier.Key]:
    return [verifier.Key.read(connecting.signer().verifier_key)]


def test_a_person_gets_a_certificate_that_anybody_can_check_and_it_is_renewed(
    estate: Estate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account, email, name = a_person(estate)
    external = estate.ask(account)
    estate.fulfil("erasure")
    request = estate.ledger.find_request(external)
    assert request is not None and request.closed_at is not None
    [answer] = [a for a in estate.answers() if a["kind"].startswith("erasure_completed")]
    document, page = answer["body"]["certificate"], answer["body"]["page"]

    statement = verifier.verify_certificate(document, keys())
    predicate = statement["predicate"]
    assert predicate["request"]["id"] == str(request.id)
    assert predicate["request"]["outcome"] == request.state
    assert {each["store"] for each in predicate["stores"]} == {"accounts", "practice", "user_content"}
    assert all(probe["clean"] for store in predicate["stores"] for probe in store["probes"])
    assert sum(sum(store["removed"].values()) for store in predicate["stores"]) > 0
    assert {each["recipient"] for each in predicate["recipients"]} >= {"stripe", "sendgrid"}
    assert predicate["residual_until"] == request.residual_until.isoformat()  # type: ignore[union-attr]
    assert [each["digest"]["sha256"] for each in statement["subject"]] == [
        store["plan_digest"] for store in predicate["stores"]
    ]
    assert document["opening"]["reference"] == external

    # What stays with us opens nothing and names nobody.
    kept = estate.ledger.newest_certificate(request.id)
    assert kept is not None and kept.version == 1 and "opening" not in kept.body
    rows = [row.body for row in estate.ledger.evidence(request_id=request.id)]
    for text in (json.dumps(kept.body), json.dumps(predicate), page, json.dumps(rows)):
        assert email not in text and name not in text
    assert external not in json.dumps(predicate)
    assert document["opening"]["key"] not in json.dumps([kept.body, rows])

    # As a person would do it, with the program alone.
    (tmp_path / "certificate.json").write_text(json.dumps(document))
    command = [sys.executable, "-I", str(PROGRAM), "--certificate", "certificate.json", "--key"]
    run = subprocess.run(
        [*command, connecting.signer().verifier_key],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(run.stdout) == predicate

    # Nothing new, nothing issued; the second probe makes a new version, which the person gets.
    assert renewing.renew_all(estate.as_of) == {"issued": 0, "failed": 0}
    assert estate.run("probe_again", as_of=estate.as_of + timedelta(days=4)).state == "success"
    renewed = estate.ledger.newest_certificate(request.id)
    assert renewed is not None and renewed.version == 2
    later = verifier.verify_certificate(dict(renewed.body), keys())["predicate"]
    assert later["version"] == 2
    assert all(len(store["probes"]) == 2 and not store["next_probe"] for store in later["stores"])
    assert later["request"]["reference_commitment"] == predicate["request"]["reference_commitment"]
    opened = {**renewed.body, "opening": document["opening"]}
    verifier.verify_certificate(opened, keys())
    [renewal] = [a for a in estate.answers() if a["kind"] == "erasure_certificate_2"]
    assert renewal["request_id"] == external

    # Staff: by either id, as file and as page; and the whole log for an outsider.
    assert main(["certificate", external]) == 0
    assert json.loads(capsys.readouterr().out) == renewed.body
    assert main(["certificate", str(request.id), "--page"]) == 0
    assert "Certificate of erasure" in capsys.readouterr().out
    assert main(["certificate", str(UUID(int=7))]) == 1
    assert main(["evidence", "key"]) == 0
    (tmp_path / "key").write_text(capsys.readouterr().out)
    assert main(["evidence", "export", str(tmp_path / "log")]) == 0
    exported = verifier.verify_export(tmp_path / "log", [verifier.Key.read(str(tmp_path / "key"))])
    assert exported.findings == [] and exported.size == estate.ledger.evidence_size()
    assert main(["evidence", "export", str(tmp_path / "log")]) == 1

    for change in ("payload", "leaf", "index", "path", "checkpoint", "opening"):
        with pytest.raises(verifier.NotVerifiedError):
            verifier.verify_certificate(_changed(opened, change), keys())


def _changed(document: dict[str, Any], what: str) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    log = changed["log"]
    if what == "payload":
        payload = changed["envelope"]["payload"]
        changed["envelope"]["payload"] = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
    elif what == "leaf":
        log["leaf"]["at"] = "2020-01-01T00:00:00.000000Z"
    elif what == "index":
        log["index"] += 1
    elif what == "path":
        log["path"][0] = "00" * 32
    elif what == "checkpoint":
        log["checkpoint"] = log["checkpoint"].replace("time 2026", "time 2025")
    else:
        changed["opening"]["reference"] = "00000000-0000-4000-8000-000000000000"
    return changed


def test_an_answer_does_not_wait_for_a_certificate_and_the_daily_run_makes_up_for_it(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, _, _ = a_person(estate)
    external = estate.ask(account)
    with monkeypatch.context() as patch:

        def fail(*_: Any) -> None:
            raise RuntimeError("no key today")

        patch.setattr(certificates, "_document", fail)
        estate.fulfil("erasure")
    request = estate.ledger.find_request(external)
    assert request is not None and request.closed_at is not None
    assert estate.ledger.newest_certificate(request.id) is None
    assert renewing.renew_all(estate.as_of) == {"issued": 1, "failed": 0}
    made = estate.ledger.newest_certificate(request.id)
    assert made is not None
    predicate = verifier.verify_certificate(dict(made.body), keys())["predicate"]
    assert predicate["request"]["reference_commitment"] is None, "the key was destroyed with the closing"
    assert "Certificate of erasure" in page_of(made.body)
