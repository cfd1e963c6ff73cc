"""The access archive: complete, nothing of anybody else's, explained."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from include.privacy.archives.access import AccessArchive
from include.privacy.archives.information import Answer, Consultation, Recipient
from include.privacy.planning.exporting import ExportField, Records, StoredFile
from include.privacy.policy.data_map import STAFF, DatabaseMap, KeyPath
from include.privacy.policy.promises import PROMISES
from include.privacy.policy.sharing import owners
from tests.archives.conftest import ADA, BEN, Estate
from tests.archives.support import ANSWER, collection, config, found_in, opened, rows

PAYMENTS = Recipient(
    "Example Payments Ltd", "customer id, amounts", "payments", "IE", None,
    datetime(2025, 7, 8, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC),
)  # fmt: skip


def build(estate: Estate, *keys: int, answer: Answer = ANSWER) -> list[dict[str, bytes]]:
    return estate.build(lambda p: opened(AccessArchive(p.extracts(), answer, config())), *keys)


def mapped_columns() -> list[tuple[str, str, str, str]]:
    """(store, table, link, column): every personal column of rows that hold the person's key themselves."""
    found = []
    for store in config().data_map.stores:
        for name, table in store.tables.items() if isinstance(store, DatabaseMap) else ():
            if not table.subjects:
                continue
            role, subject = next(iter(table.subjects.items()))
            for column, described in table.columns.items():
                shown = role in owners(table, column) and not described.secret
                if isinstance(subject.path, KeyPath) and described.personal and shown:
                    found.append((store.store, name, subject.path.column, column))
    return found


def test_every_personal_column_of_a_person_is_in_the_archive(estate: Estate) -> None:
    """Compared with what the databases say themselves, column by column."""
    keys = [ADA.account_id, BEN.account_id]
    archives = build(estate, *keys)
    seen = set()
    for store, table, link, column in mapped_columns():
        query = f'SELECT "{column}" FROM {table} WHERE "{link}" = %s'
        for key, files in zip(keys, archives, strict=True):
            held = [row[column] for row in estate.query(store, query, key)]
            exported = [row[column] for row in rows(files, f"data/{store}/{table}.json")]
            assert sorted(map(json.dumps, exported)) == sorted(map(json.dumps, held)), f"{table}.{column}"
            if any(value is not None for value in held):
                seen.add((store, table, link, column))
    assert len(seen) > 80
    assert seen == set(mapped_columns()), "no column is empty for both, so each was really compared"


INDIRECT = {
    "practice/attempt_events": "SELECT e.* FROM attempt_events e JOIN attempts a ON a.id = e.attempt_id "
    "WHERE a.learner_id = %s",
    "practice/assessment_answers": "SELECT x.* FROM assessment_answers x JOIN assessments a "
    "ON a.id = x.assessment_id WHERE a.learner_id = %s",
    "practice/plan_revisions": "SELECT r.* FROM plan_revisions r JOIN practice_plans p ON p.id = r.plan_id "
    "WHERE p.learner_id = %s",
    "practice/plan_revisions.author": "SELECT * FROM plan_revisions WHERE author_id = %s",
    "practice/mentor_reviews.mentor": "SELECT * FROM mentor_reviews WHERE mentor_id = %s "
    "AND learner_id <> mentor_id",
    "practice/comments.replied_to": "SELECT r.* FROM comments r JOIN comments c ON c.id = r.parent_id "
    "WHERE c.author_id = %s AND r.author_id <> c.author_id",
    "practice/learners.mentor": "SELECT * FROM learners WHERE mentor_id = %s",
    "accounts/ticket_messages": "SELECT m.* FROM ticket_messages m JOIN support_tickets t "
    "ON t.id = m.ticket_id WHERE t.account_id = %s",
    "accounts/ticket_attachments": "SELECT f.id FROM ticket_attachments f JOIN support_tickets t "
    "ON t.id = f.ticket_id WHERE t.account_id = %s",
}


@pytest.mark.parametrize("person", [ADA, BEN], ids=["Ada", "Ben"])
def test_rows_several_hops_away_are_in_the_archive(estate: Estate, person: Any) -> None:
    (files,) = build(estate, person.account_id)
    found = 0
    for path, query in INDIRECT.items():
        held = estate.query(path.split("/")[0], query, person.account_id)
        assert len(rows(files, f"data/{path}.json")) == len(held), path
        found += bool(held)
    assert found >= 7


def test_tickets_that_know_only_an_address_are_in_the_archive(estate: Estate) -> None:
    (files,) = build(estate, ADA.account_id)
    mine = rows(files, "data/accounts/support_tickets.sender.json")
    held = estate.query(
        "accounts",
        "SELECT id FROM support_tickets WHERE account_id IS NULL AND requester_email = ANY(%s)",
        list(ADA.emails),
    )
    assert {row["id"] for row in mine} == {row["id"] for row in held} and len(held) == 2


def test_nothing_of_the_second_person_is_in_the_archive_of_the_first(estate: Estate) -> None:
    for mine, other, files in zip(
        (ADA, BEN), (BEN, ADA), build(estate, ADA.account_id, BEN.account_id), strict=True
    ):
        assert found_in(files, other.needles) == {}, mine.full_name
        assert len(found_in(files, mine.needles)) > 20


def test_what_two_people_share_is_shown_to_each_as_far_as_it_is_theirs(estate: Estate) -> None:
    ada, ben = build(estate, ADA.account_id, BEN.account_id)
    reviews = {r["id"]: r for r in rows(ada, "data/practice/mentor_reviews.json")}
    assert (reviews[900001]["mentor_name"], reviews[900001]["review"]) == ("[redacted]", "shared review")
    assert reviews[900002]["mentor_name"] == "myself"
    (written,) = (r for r in rows(ben, "data/practice/mentor_reviews.mentor.json") if r["id"] == 900001)
    assert written["review"] == "shared review" and "learner_id" not in written
    assert {"id": 900001, "parent_id": rows(ada, "data/practice/comments.json")[0]["id"]} in rows(
        ada, "data/practice/comments.replied_to.json"
    )
    assert "shared answer" in str(rows(ben, "data/practice/comments.json"))
    assert "shared invitation" in str(rows(ben, "data/practice/invitations.invitee.json"))
    assert "shared browser" in str(rows(ada, "data/practice/sessions.json"))
    assert not found_in(ben, ["shared browser", "203.0.113.99"])
    for files in (ada, ben):
        (attachment,) = (
            r
            for name in ("ticket_attachments", "ticket_attachments.sender")
            for r in rows(files, f"data/accounts/{name}.json")
            if r["id"] == 900001
        )
        assert attachment["content"].endswith(".pdf")
        assert files[attachment["content"]] == b"shared file"


def test_redactions_are_listed_field_by_field_with_their_reason(estate: Estate) -> None:
    (files,) = build(estate, ADA.account_id)
    listed = {(r["collection"], r["field"]): r for r in rows(files, "redactions.json")}
    signature = listed["practice.mentor_reviews", "mentor_name"]
    hidden = [r for r in rows(files, "data/practice/mentor_reviews.json") if r["mentor_name"] == "[redacted]"]
    assert signature["rows"] == len(hidden) > 0
    assert (signature["belongs_to"], signature["reason"]) == (["mentor"], "other_person")
    assert listed["accounts.ticket_messages", "author_admin_id"]["reason"] == "staff"
    assert ("practice.attempts", "score") not in listed
    for (name, field), entry in listed.items():
        assert entry["why"] and entry["rows"] > 0, (name, field)
    page = files["index.html"].decode()
    assert "<code>mentor_name</code>" in page and "another person" in page


def test_employees_are_not_shown(estate: Estate) -> None:
    for files in build(estate, ADA.account_id, BEN.account_id):
        staff = estate.query("accounts", "SELECT email, full_name FROM admin_users")
        assert not found_in(files, [value for row in staff for value in row.values()])
        for store in config().data_map.stores:
            for name, table in store.tables.items() if isinstance(store, DatabaseMap) else ():
                hidden = [c for c in table.columns if STAFF in owners(table, c)]
                exported = rows(files, f"data/{store.store}/{name}.json")
                assert not any(column in row for column in hidden for row in exported)


def test_secrets_are_named_and_not_exported(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    named = {(s["collection"], s["field"]) for s in rows(files, "secrets.json")}
    assert named == {
        ("accounts.credentials", "password_hash"), ("accounts.credentials", "totp_secret"),
        ("accounts.verification_tokens", "token_hash"), ("practice.sessions", "token_hash"),
    }  # fmt: skip
    held = estate.query(
        "accounts",
        "SELECT password_hash, encode(totp_secret, 'hex') AS totp, encode(totp_secret, 'base64') AS totp64, "
        "(SELECT encode(token_hash, 'hex') FROM verification_tokens t WHERE t.account_id = c.account_id "
        "LIMIT 1) AS token FROM credentials c WHERE account_id = %s",
        BEN.account_id,
    ) + estate.query(
        "practice",
        "SELECT encode(token_hash, 'hex') AS h FROM sessions WHERE learner_id = %s",
        BEN.account_id,
    )
    needles = [value for row in held for value in row.values() if value]
    needles += [base64.b64encode(bytes.fromhex(n)).decode() for n in needles if re.fullmatch(r"[0-9a-f]+", n)]
    assert len(needles) > 5
    assert found_in(files, needles) == {}


def test_uploads_are_in_the_archive_in_every_version(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    index = rows(files, "data/user_content/user-content.json")
    assert [row["name"] for row in index].count("avatar.png") == 3
    assert all(len(files[row["file"]]) == row["bytes"] for row in index)
    assert {row["file"] for row in index} == {p for p in files if p.startswith("files/user_content/")}


def test_member_names_say_nothing_about_the_person(estate: Estate) -> None:
    """They can be read without the passphrase."""
    for person, files in zip((ADA, BEN), build(estate, ADA.account_id, BEN.account_id), strict=True):
        assert not found_in(dict.fromkeys(files, b""), [*person.needles, "screenshot", "Übung"])
        assert all(re.fullmatch(r"[a-z0-9_./-]+", path) for path in files)


def test_what_was_inferred_is_part_of_an_access_archive(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    assert rows(files, "data/practice/recommendations.json")
    assert all("level" in row for row in rows(files, "data/practice/progress.json"))


def test_the_manifest_is_right_about_every_file(estate: Estate) -> None:
    import hashlib

    (files,) = build(estate, BEN.account_id)
    manifest = json.loads(files["manifest.json"])
    assert {f["path"] for f in manifest["files"]} == set(files) - {"manifest.json"}
    for entry in manifest["files"]:
        body = files[entry["path"]]
        assert (entry["bytes"], entry["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
        if entry["path"].startswith("data/"):
            assert entry["records"] == len(json.loads(body)) > 0


def test_every_exported_field_is_explained(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    explained = {entry["file"]: entry for entry in rows(files, "glossary.json")}
    data = [path for path in files if path.startswith("data/")]
    assert set(explained) == set(data)
    for path in data:
        fields = {f["field"]: f for f in explained[path]["fields"]}
        assert explained[path]["retention"].endswith(".")
        for row in rows(files, path):
            assert set(row) <= set(fields)
        for name, field in fields.items():
            assert field["description"] and field["origin"] in ("provided", "observed", "inferred"), name
            assert set(field["promises"]) <= set(PROMISES) and field["promises"], (path, name)
            for purpose in field["purposes"]:
                assert "GDPR" in purpose["because"]


def test_periods_are_those_of_the_rules(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    periods = {r["collection"]: r for r in json.loads(files["information.json"])["retention"]}
    assert "45 days after occurred_at" in periods["practice.access_log"]["period"]
    assert "3653 days after issued_at" in periods["accounts.invoices"]["period"]
    assert "30 days more" in periods["practice.attempts"]["period"]
    assert periods["practice.attempts"]["promise"] == "P4.2"


def test_the_information_names_the_actual_recipients_and_no_others(estate: Estate) -> None:
    answer = replace(
        ANSWER,
        recipients=(PAYMENTS,),
        consultations=(Consultation(datetime(2026, 3, 1, tzinfo=UTC), "a question"),),
    )
    (files,) = build(estate, BEN.account_id, answer=answer)
    info = json.loads(files["information.json"])
    assert [r["name"] for r in info["recipients"]] == ["Example Payments Ltd"]
    assert info["consultations"] == [{"at": "2026-03-01T00:00:00+00:00", "purpose": "a question"}]
    assert [c["file"] for c in info["consultation_logs"]] == ["data/practice/access_log.json"]
    assert {"consent", "contract", "legitimate_interests"} <= {p["legal_basis"] for p in info["purposes"]}
    assert {"rights", "authority", "sources", "automated_decisions", "transfers", "backups"} <= set(info)
    page = files["information.html"].decode()
    assert "Example Payments Ltd" in page and "2025-07-08" in page and "180 days" in page
    assert "Nobody outside the company" not in page
    (alone,) = build(estate, BEN.account_id)
    assert "Nobody outside the company" in alone["information.html"].decode()


def test_nothing_found_is_an_answer_too(estate: Estate) -> None:
    (files,) = build(estate, 4711)
    assert not [p for p in files if p.startswith(("data/", "files/"))]
    page = files["index.html"].decode()
    assert "We hold no data about you" in page and "Your attempts at exercises." in page
    info = json.loads(files["information.json"])
    assert info["data_found"] is False and info["purposes"] == [] and info["rights"]


def test_records_of_the_ledger_and_of_processors_are_parts_like_any_other(estate: Estate) -> None:
    ours = Records(
        collection("requests", ExportField("right", description="Which right."), ExportField("at")),
        [{"right": "access", "at": datetime(2026, 1, 2, tzinfo=UTC)}],
        [StoredFile("files/ledger/letter.txt", [b"Dear"])],
    )
    answer = replace(ANSWER, notes=("Example Payments Ltd has not answered yet.",))

    def make(person: Any) -> dict[str, bytes]:
        return opened(AccessArchive([*person.extracts(), ours], answer, config()))

    (files,) = estate.build(make, 4711)
    assert rows(files, "data/ledger/requests.json") == [
        {"right": "access", "at": "2026-01-02 00:00:00+00:00"}
    ]
    assert files["files/ledger/letter.txt"] == b"Dear"
    assert json.loads(files["information.json"])["retention"][0]["period"] == "Three years."
    assert "has not answered yet" in files["index.html"].decode()


def test_one_persons_failure_does_not_touch_the_next(estate: Estate) -> None:
    def make(person: Any) -> dict[str, bytes] | None:
        archive = AccessArchive(person.extracts(), ANSWER, config())
        if person.ordinal == 1:
            stream = archive.packed("x")
            next(iter(stream))
            return None
        return opened(archive)

    _, second = estate.build(make, ADA.account_id, BEN.account_id)
    (alone,) = build(estate, BEN.account_id)
    for path in (p for p in alone if p.startswith("data/")):
        if "attachments" not in path:  # names of files are drawn anew in each export
            assert sorted(map(str, rows(second, path))) == sorted(map(str, rows(alone, path)))


def test_an_archive_without_the_information_is_refused() -> None:
    policy = config().policy.model_copy(update={"information": None})
    with pytest.raises(ValueError, match="has no `information:`"):
        AccessArchive([], ANSWER, replace(config(), policy=policy))


class Page(HTMLParser):
    """What a careful reader of the markup looks at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.mark.parametrize("key", [BEN.account_id, 4711], ids=["data", "nothing"])
def test_pages_work_offline_for_everybody(estate: Estate, key: int) -> None:
    (files,) = build(estate, key, answer=replace(ANSWER, recipients=(PAYMENTS,)))
    for path in ("index.html", "information.html", "glossary.html"):
        page = Page(files[path].decode())
        assert (
            not page.all("script") and not page.all("img") and not page.all("link") and not page.all("iframe")
        )
        assert page.all("html")[0]["lang"] == "en" and len(page.all("h1")) == 1 and page.all("main")
        assert page.all("title") and any("charset" in m for m in page.all("meta"))
        assert len(page.all("caption")) == len(page.all("table"))
        assert all("scope" in th for th in page.all("th"))
        for link in page.all("a"):
            target = (link["href"] or "").partition("#")[0]
            assert target == "" or target in files, link
        assert "default-src 'none'" in files[path].decode() and "@media print" in files[path].decode()


def test_what_people_write_is_shown_as_text_not_run() -> None:
    hostile = "<script>alert(1)</script>"
    note = replace(ANSWER, notes=(hostile,))
    odd = Records(replace(collection(), description=hostile), [{"note": "x"}])
    files = opened(AccessArchive([odd], note, config()))
    for path in ("index.html", "glossary.html"):
        assert not Page(files[path].decode()).all("script")
        assert "&lt;script&gt;" in files[path].decode()


def test_the_statements_of_an_access_cohort_do_not_grow_with_its_people(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    said: list[str] = []
    execute: Callable[..., Any] = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *args: Any, **more: Any) -> Any:
        said.append(str(query))
        return execute(self, query, *args, **more)

    keys = [row["id"] for row in estate.query("accounts", "SELECT id FROM accounts ORDER BY id LIMIT 100")]
    databases = Estate(estate.platform, estate.stores[1:])
    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    totals = {}
    for size in (1, 100):
        members = [*keys[:size]]
        with databases.people(*members) as people:
            said.clear()
            for person in people:
                for _ in pack_nothing(AccessArchive(person.extracts(), ANSWER, config())):
                    pass
        totals[size] = len(said)
    assert totals[100] <= 1.25 * totals[1], totals


def pack_nothing(archive: AccessArchive) -> Any:
    """Reads every member without encrypting it."""
    for member in archive.members():
        yield sum(map(len, member.chunks))
