"""Connections become adapters in one place, and unusable ones say what to change."""

from __future__ import annotations

import base64

import pytest

from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.runtime import Runtime


def _runtime(**fields: object) -> Runtime:
    return Runtime(connect=lambda conn_id: ConnectionInfo(conn_id, **fields))  # type: ignore[arg-type]


def test_a_remote_database_is_reached_over_verified_tls_only() -> None:
    rt = _runtime(
        conn_type="postgres", host="db.example", login="dags", password="p@ss/word", schema="accounts"
    )
    dsn = rt.dsn("accounts_db")
    assert dsn.startswith("postgresql://dags:p%40ss%2Fword@db.example:5432/accounts?")
    assert "sslmode=verify-full" in dsn
    assert "ssl_min_protocol_version=TLSv1.3" in dsn


def test_a_database_on_this_machine_needs_no_tls() -> None:
    rt = _runtime(conn_type="postgres", host="127.0.0.1", port=5433, login="dags", schema="ledger")
    assert rt.dsn("privacy_ledger") == "postgresql://dags@127.0.0.1:5433/ledger"


def test_a_connection_without_database_names_itself_and_not_its_password() -> None:
    rt = _runtime(conn_type="postgres", host="db.example", password="hunter2")
    with pytest.raises(UnusableConnectionError, match="accounts_db") as refused:
        rt.dsn("accounts_db")
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(rt.connection("accounts_db"))


def test_an_unknown_connection_says_how_to_add_it() -> None:
    from include.privacy.connections import connection

    with pytest.raises(UnusableConnectionError, match="AIRFLOW_CONN_NOWHERE"):
        connection("nowhere")


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(16)).decode()])
def test_a_master_key_of_the_wrong_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVACY_MASTER_KEY", text)
    with pytest.raises(UnusableConnectionError, match="32 bytes"):
        _runtime(conn_type="generic").master_key()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"password": None}, "API key"),
        ({"password": "SG.key", "extra": {"endpoint_url": "http://mail.example"}}, "https"),
        ({"password": "SG.key", "extra": {"endpoint_url": "https:mail"}}, "endpoint_url"),
    ],
)
def test_an_unusable_mail_connection_names_itself_and_not_its_key(
    fields: dict[str, object], told: str
) -> None:
    with pytest.raises(UnusableConnectionError, match=rf"'sendgrid'.*{told}") as refused:
        _runtime(conn_type="generic", **fields).mail()
    assert "SG." not in str(refused.value)


def test_mail_goes_to_sendgrid_unless_the_connection_says_otherwise() -> None:
    rt = _runtime(conn_type="generic", password="SG.key")
    assert rt.mail() is rt.mail()
    assert rt.letters() is rt.letters()
