"""An unfamiliar database is drafted, decided upon, checked and erased from: what an engineer would do."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from include.privacy.__main__ import main
from include.privacy.drafting import command_line
from include.privacy.drafting.command_line import draft_map
from include.privacy.policy.live import compare_with_live
from include.privacy.policy.loading import ConfigError, load_config
from include.privacy.stores.postgres import PostgresStore
from tests.drafting import unfamiliar
from tests.policy import configs
from tests.stores.postgres.support import cohort, erase

if TYPE_CHECKING:
    from include.sandbox.world import World

ERASED, KEPT = 3, 5

# What the comments of the draft ask an engineer, and what this one answers: lines of the draft → new lines.
DECISIONS = {
    # "telephone numbers: say under subjects whose row it is": a person's number leads there.
    "      phone: {category: user.contact.phone_number}\n      dob:": (
        "      phone: {category: user.contact.phone_number, identifier: phone}\n      dob:"
    ),
    "  sms_log:\n": (
        "  sms_log:\n    subjects: {member: {path: {column: phone, identifier: phone}, erasure: delete}}\n"
    ),
    "      words: {category: system.operations, looks_like: {free_text: 'written by us, not by people'}}": (
        "      words: {category: user.content.private}"
    ),
}


@pytest.fixture(scope="module")
def club(world: World) -> Any:
    dsn = world.postgres.create_database("bicycle_club", "platform", "template1")
    unfamiliar.fill(dsn)
    yield dsn
    world.postgres.drop_database("bicycle_club")


def options(database: str, **given: Any) -> Namespace:
    return Namespace(
        **{"database": database, "schema": "public", "root": None, "store": None, "rows": 200} | given
    )


def everything(dsn: str) -> dict[str, str]:
    """All rows of all tables, as one text each."""
    found = {}
    with psycopg.connect(dsn) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE relkind IN ('r','m') AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (name,) in names:
            # Bytes as text too: a photo may have a name in it.
            rows = connection.execute(
                sql.SQL("SELECT string_agg(t::text, E'\\n') FROM {} t").format(sql.Identifier(name))
            ).fetchone()
            found[str(name)] = str(rows[0] if rows else "")
    return found


def config_with(tmp_path: Path, draft: str) -> Path:
    policy = configs.policy()
    policy["rules"] = [rule for rule in policy["rules"] if rule["id"] != "tokens"]
    policy["promises"]["P2.4"]["enforced_by"] = {"planned": "audit_controls"}
    folder = configs.write(tmp_path, policy_value=policy)
    (folder / "data_map" / "90_people.yaml").write_text(draft, encoding="utf-8")
    return folder


def test_a_draft_is_printed_for_a_url_and_what_is_wrong_is_said_in_one_line(
    club: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(configs.write(tmp_path)))
    assert main(["draft-map", club]) == 0
    draft = yaml.safe_load(capsys.readouterr().out)
    assert draft["store"] == "bicycle_club", "called after the database"
    assert "root" not in draft, "the people of this configuration are in another store"

    for arguments, wrong in (
        ([club, "--root", "bikes_of_nobody"], "no table with a primary key of one column"),
        ([club, "--root", "crew_members"], "no table with a primary key of one column"),
        ([club, "--schema", "nothing"], "schema nothing has no tables"),
        (["postgresql://nobody@127.0.0.1:9/none"], "could not be read"),
        (["postgresql://nobody@127.0.0.1"], "names no database"),
        (["not = a = dsn"], "neither the id of a connection nor a URL"),
    ):
        assert main(["draft-map", *arguments]) == 1
        out, said = capsys.readouterr()
        assert wrong in said and said.count("\n") == 1, said
        assert out == ""


def test_a_database_elsewhere_is_reached_over_tls_only() -> None:
    url, connection = command_line._reached("postgresql://role@db.example.org/shop")
    assert conninfo_to_dict(url) == {
        "user": "role",
        "host": "db.example.org",
        "dbname": "shop",
        "sslmode": "verify-full",
        "ssl_min_protocol_version": "TLSv1.3",
    }
    assert connection == "shop_db"


def test_twenty_four_tables_are_mapped_by_a_draft_and_three_decisions(
    club: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(configs.write(tmp_path / "known")))
    draft = draft_map(options(club, store="people"))
    for person in range(unfamiliar.PEOPLE):
        assert not [mark for mark in unfamiliar.marks(person) if mark in draft], "no sample is in the draft"
    assert draft.count("check:") < 30
    with pytest.raises(ConfigError) as undecided:
        load_config(config_with(tmp_path, draft))
    assert {p.field.split(".")[1] for p in undecided.value.problems} == {"sms_log"}, undecided.value

    for line, decided in DECISIONS.items():
        assert draft.count(line) == 1, line
        draft = draft.replace(line, decided)
    config = load_config(config_with(tmp_path, draft))
    mapped = config.data_map.root
    assert len(mapped.tables) == 25
    store = PostgresStore(mapped, club)
    assert compare_with_live(mapped, store.read_schema(), policy=config.policy) == []

    store.migrate_workspace()
    before = everything(club)
    assert sum(mark in text for mark in unfamiliar.marks(ERASED) for text in before.values()) > 20
    frozen = {"email": (unfamiliar.mail(ERASED),), "phone": (unfamiliar.phone(ERASED),)}
    _, _, probe = erase(store, cohort(str(unfamiliar.key(ERASED)), **frozen))

    assert sum(probe.remaining.values()) == 0
    after = everything(club)
    residue = {n: m for n, text in after.items() for m in unfamiliar.marks(ERASED) if m in text}
    assert residue == {}
    for name in ("member_logins", "rentals", "payments", "damage_photos", "case_notes", "events", "waitlist"):
        assert after[name].count("\n") == before[name].count("\n") - 1, name
    for mark in unfamiliar.marks(KEPT):
        for name, text in after.items():
            assert text.count(mark) == before[name].count(mark), f"{name} lost something of somebody else"
