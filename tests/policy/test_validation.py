"""What a model cannot see alone: each way in which policy and data map may not hold together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.privacy.policy.loading import ConfigError, load_config
from tests.policy import configs

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]


def at(value: Any, path: str) -> Any:
    for part in path.split("/"):
        value = value[int(part)] if part.isdigit() else value[part]
    return value


def put(document: str, path: str, value: Any) -> Change:
    def change(policy: dict[str, Any], people: dict[str, Any], archive: dict[str, Any]) -> None:
        parent, _, last = path.rpartition("/")
        target = {"policy": policy, "people": people, "archive": archive}[document]
        target = at(target, parent) if parent else target
        target[int(last) if last.isdigit() else last] = value

    return change


def drop(document: str, path: str) -> Change:
    def change(policy: dict[str, Any], people: dict[str, Any], archive: dict[str, Any]) -> None:
        parent, _, last = path.rpartition("/")
        target = {"policy": policy, "people": people, "archive": archive}[document]
        target = at(target, parent) if parent else target
        del target[int(last) if last.isdigit() else last]

    return change


DELETE = {"path": "account_id", "erasure": "delete"}
CASES = {
    "a promise that is missing": (drop("policy", "promises/P7.3"), "promises", "P7.3 is missing"),
    "a promise that nobody made": (
        put("policy", "promises/P9.9", {"title": "x", "enforced_by": "purge"}),
        "promises.P9.9",
        "no promise of the policy",
    ),
    "a plan without a name": (
        put("policy", "promises/P7.3/enforced_by", "planned"),
        "promises.P7.3.enforced_by",
        "does not name the DAG",
    ),
    "nobody answering outside": (
        put("policy", "promises/P7.3/enforced_by", {"outside": ""}),
        "promises.P7.3.enforced_by",
        "does not say who",
    ),
    "a sentence as keeper": (
        put("policy", "promises/P7.3/enforced_by", "we try hard"),
        "promises.P7.3.enforced_by",
        "neither a rule",
    ),
    "a time zone of fantasy": (put("policy", "timezone", "Mars/Base"), "timezone", "is not a time zone"),
    "a time zone that climbs out": (put("policy", "timezone", "../../etc"), "timezone", "is not a time zone"),
    "two rules of one name": (
        put("policy", "rules/2/id", "purge"),
        "rules[2].id",
        "another rule is called purge",
    ),
    "a rule for no promise": (
        put("policy", "rules/2/promise", "P2.9"),
        "rules[2].promise",
        "no such promise",
    ),
    "a rule its promise does not know": (
        put("policy", "rules/2/promise", "P2.3"),
        "rules[2].promise",
        "does not name this rule",
    ),
    "a limit beyond the promise": (
        put("policy", "rules/1/limit_days", 91),
        "rules[1].limit_days",
        "promises 90 days at most",
    ),
    "archives beyond the promise": (
        put("policy", "rules/3/limit_days", 181),
        "rules[3].limit_days",
        "promises 180 days at most",
    ),
    "a shorter service than promised": (
        put("policy", "rules/0/target_days", 29),
        "rules[0].target_days",
        "promises 30 days",
    ),
    "a store that is not mapped": (
        put("policy", "rules/1/store", "peeple"),
        "rules[1].store",
        "no store of that",
    ),
    "a lifecycle without clock": (
        put("policy", "rules/1/store", "archive"),
        "rules[1].store",
        "needs a database",
    ),
    "objects in a database": (put("policy", "rules/3/store", "people"), "rules[3].store", "needs a bucket"),
    "a prefix that is not mapped": (
        put("policy", "rules/3/prefix", "backups/peple/"),
        "rules[3].prefix",
        "no such backup prefix",
    ),
    "a content prefix as backup": (
        put("policy", "rules/3/prefix", "files/"),
        "rules[3].prefix",
        "no such backup prefix",
    ),
    "a table that is not mapped": (
        put("policy", "rules/2/table", "tokns"),
        "rules[2].table",
        "no such table",
    ),
    "a clock that is not mapped": (
        put("policy", "rules/2/clock", "made_at"),
        "rules[2].clock",
        "no such column",
    ),
    "no purge at all": (drop("policy", "rules/1"), "rules", "0 rules say `action: purge`"),
    "backups that nothing expires": (drop("policy", "rules/3"), "backups[0]", "0 rules expire the backups"),
    "a purpose nobody declared": (
        put("people", "tables/tokens/purposes", ["essential.service.operation"]),
        "tables.tokens.purposes",
        "is not a purpose",
    ),
    "a purpose of a column nobody declared": (
        put("people", "tables/tokens/columns/account_id", {"category": "user", "purposes": ["sales"]}),
        "tables.tokens.columns.account_id.purposes",
        "is not a purpose",
    ),
    "a content purpose nobody declared": (
        put("archive", "content/0/purposes", ["sales"]),
        "content[0].purposes",
        "is not a purpose",
    ),
    "personal data without purpose": (
        put("people", "tables/leads/purposes", []),
        "tables.leads.columns.email",
        "has no purpose",
    ),
    "objects without purpose": (put("archive", "content/0/purposes", []), "content[0].purposes", "is empty"),
    "no root": (drop("people", "root"), "root", "no store has a root"),
    "a root table that is not mapped": (
        put("people", "root/table", "account"),
        "root.table",
        "no such table",
    ),
    "a root key that is not mapped": (put("people", "root/key", "pk"), "root.key", "has no column pk"),
    "a clock of the root that is not mapped": (
        put("people", "root/lifecycle/deleted_at", "gone_at"),
        "root.lifecycle.deleted_at",
        "has no column gone_at",
    ),
    "a marked column that is not mapped": (
        put("people", "root/lifecycle/on_deleted", {"status": "deleted"}),
        "root.lifecycle.on_deleted.status",
        "has no column status",
    ),
    "a root row that stays": (
        put("people", "tables/accounts/subjects/holder/erasure", {"anonymise": {"id": {"random": "uuid"}}}),
        "tables.accounts.subjects",
        "the people themselves",
    ),
    "a path along a missing column": (
        put("people", "tables/tokens/subjects/holder/path", "acount_id"),
        "tables.tokens.subjects.holder.path",
        "has no column acount_id",
    ),
    "a reference to a missing table": (
        put("people", "tables/posts/subjects/answered/path/references", "post"),
        "tables.posts.subjects.answered.path.references",
        "no such table",
    ),
    "a reference by missing key columns": (
        put("people", "tables/posts/subjects/answered/path/key", ["uid"]),
        "tables.posts.subjects.answered.path.key",
        "has no column uid",
    ),
    "a reference with uneven columns": (
        put("people", "tables/posts/subjects/answered/path/key", ["id", "author_id"]),
        "tables.posts.subjects.answered.path.key",
        "another number of columns",
    ),
    "a reference that does not say whose": (
        drop("people", "tables/posts/subjects/answered/path/role"),
        "tables.posts.subjects.answered.path.role",
        "not clear whose row",
    ),
    "a reference to a role that is not there": (
        put("people", "tables/posts/subjects/answered/path/role", "autor"),
        "tables.posts.subjects.answered.path.role",
        "has no role autor",
    ),
    "a path that bites its tail": (
        put("people", "tables/posts/subjects/answered/path/role", "answered"),
        "tables.posts.subjects.answered.path",
        "reaches nobody",
    ),
    "a reference to rows of nobody": (
        put("people", "tables/tokens/subjects/holder/path", {"columns": ["id"], "references": "plans"}),
        "tables.tokens.subjects.holder.path.role",
        "not clear whose row",
    ),
    "an identifier that no table yields": (
        put("people", "tables/leads/subjects/lead/path/identifier", "phone"),
        "tables.leads.subjects.lead.path.identifier",
        "holds the identifier phone",
    ),
    "an identifier that only yields itself": (
        put("people", "tables/accounts/columns/email", {"category": "user.contact.email"}),
        "tables.leads.subjects.lead.path.identifier",
        "holds the identifier email",
    ),
    "an identifier that is not personal": (
        put("people", "tables/tokens/columns/id", {"category": "system.operations", "identifier": "token"}),
        "tables.tokens.columns.id.category",
        "is personal",
    ),
    "personal columns of nobody": (
        put(
            "people",
            "tables/plans/columns/author",
            {"category": "user.name", "purposes": ["essential.service.operations"]},
        ),
        "tables.plans",
        "no subjects",
    ),
    "a name that outlives its person": (
        drop("people", "tables/invoices/subjects/holder/erasure/anonymise/billing_name"),
        "tables.invoices.columns.billing_name",
        "would survive",
    ),
    "rows that still lead to the person": (
        put("people", "tables/posts/subjects/answered/erasure", {"anonymise": {"body": {"set": None}}}),
        "tables.posts.subjects.answered.erasure.anonymise",
        "pseudonymous",
    ),
    "a replaced column that is not there": (
        put("people", "tables/invoices/subjects/holder/erasure/anonymise/bill", {"set": None}),
        "tables.invoices.subjects.holder.erasure.anonymise.bill",
        "no such column",
    ),
    "an end date that is not there": (
        put("people", "tables/invoices/subjects/holder/erasure/keep/until/column", "isued_at"),
        "tables.invoices.subjects.holder.erasure.keep.until.column",
        "no such column",
    ),
    "a view that is rewritten": (
        put("people", "tables/invoices/kind", "materialised_view"),
        "tables.invoices.subjects.holder.erasure",
        "is refreshed",
    ),
    "a table without columns": (
        put("people", "tables/plans/columns", {}),
        "tables.plans.columns",
        "is empty",
    ),
    "a backup of nothing": (
        put("archive", "backups/0/backup_of", "poeple"),
        "backups[0].backup_of",
        "no mapped",
    ),
    "prefixes inside each other": (
        put("archive", "content/0/prefix", "backups/people/x/{subject}/"),
        "backups[0].prefix",
        "overlaps",
    ),
    "a bucket that is all one person's": (
        put("archive", "content/0/prefix", "{subject}/"),
        "backups[0].prefix",
        "overlaps",
    ),
    "a date pattern without a date": (
        put("archive", "backups/0/key_date", "backups/people/"),
        "backups[0].key_date",
        "holds no date",
    ),
    "two files for one store": (put("archive", "store", "people"), "store", "another file describes people"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_place_and_a_fix(tmp_path: Path, case: str) -> None:
    change, field, message = CASES[case]
    policy, people, archive = configs.policy(), configs.people(), configs.archive()
    change(policy, people, archive)
    with pytest.raises(ConfigError) as caught:
        load_config(configs.write(tmp_path, policy_value=policy, people_value=people, archive_value=archive))
    found = [p for p in caught.value.problems if p.field == field and message in p.message]
    assert found, f"{case} is not reported as {field}: …{message}…, but as:\n{caught.value}"
    assert all(p.fix and p.line > 0 for p in caught.value.problems)


def test_the_root_store_must_sort_last(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    (folder / "data_map" / "90_people.yaml").rename(folder / "data_map" / "05_people.yaml")
    with pytest.raises(ConfigError, match="must come last"):
        load_config(folder)


def test_there_is_one_root(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    text = (folder / "data_map" / "90_people.yaml").read_text()
    (folder / "data_map" / "95_more.yaml").write_text(text.replace("store: people", "store: more"))
    with pytest.raises(ConfigError, match="people has the root already"):
        load_config(folder)


def test_a_reason_lets_a_personal_column_of_nobody_stand(tmp_path: Path) -> None:
    value = configs.people()
    value["tables"]["plans"]["columns"]["author"] = {
        "category": "user.name",
        "purposes": ["essential.service.operations"],
        "unmasked_because": "staff, under the employment contract",
    }
    assert load_config(configs.write(tmp_path, people_value=value))


def test_a_reason_lets_a_column_of_a_kept_row_stand(tmp_path: Path) -> None:
    value = configs.people()
    erasure = value["tables"]["invoices"]["subjects"]["holder"]["erasure"]
    del erasure["anonymise"]["billing_name"]
    value["tables"]["invoices"]["columns"]["billing_name"]["unmasked_because"] = "the law wants the name"
    assert load_config(configs.write(tmp_path, people_value=value))


def test_the_fix_suggests_what_was_probably_meant(tmp_path: Path) -> None:
    value = configs.policy()
    value["rules"][2]["table"] = "tokns"
    with pytest.raises(ConfigError) as caught:
        load_config(configs.write(tmp_path, policy_value=value))
    assert [p.fix for p in caught.value.problems] == ["write tokens"]
