"""The doors in Airflow's own API server: its login, its roles, its connections, its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.testclient import TestClient

from include.sandbox.process_groups import alive
from include.sandbox.processes import free_port, tail
from tests.runs.conftest import AIRFLOW_ENV, Estate

STRANGER = "nobody.knows@stranger.example"


@pytest.fixture(scope="module")
def server(airflow: Any) -> TestClient:
    """Airflow's application with the plugins of this project, in this process."""
    from airflow.api_fastapi.app import create_app

    return TestClient(create_app(apps="core"), base_url="http://airflow.test")


@pytest.fixture(scope="module")
def token(server: TestClient) -> Callable[[str], str]:
    """A token of Airflow's for a role of its simple auth manager."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return lambda role: get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="test", role=role))


def _message() -> dict[str, str]:
    return {"request_id": str(uuid4()), "right": "access", "email": STRANGER}


def test_airflows_login_and_roles_decide(
    estate: Estate, server: TestClient, token: Callable[[str], str]
) -> None:
    path = "/privacy/api/v1/requests"
    assert server.post(path, json=_message()).status_code == 401
    wrong = {"Authorization": "Bearer made.up.token"}
    assert server.post(path, json=_message(), headers=wrong).status_code in (401, 403)
    allowed = {}
    for role in ("viewer", "user", "op", "admin"):
        message = _message()
        headers = {"Authorization": f"Bearer {token(role)}"}
        opened = server.post(path, json=message, headers=headers).status_code
        followed = server.get(f"{path}/{message['request_id']}", headers=headers).status_code
        allowed[role] = (opened, followed)
    assert allowed.pop("viewer") == (403, 404), "may read, and finds that nothing was opened"
    assert set(allowed.values()) == {(202, 200)}


def test_the_cookie_of_airflows_pages_counts_but_not_from_other_sites(
    estate: Estate, server: TestClient, token: Callable[[str], str]
) -> None:
    cookie = {"Cookie": f"_token={token('user')}"}
    path, message = "/privacy/api/v1/requests", _message()
    assert server.post(path, json=message, headers=cookie).status_code == 403
    own = cookie | {"X-Requested-With": "fetch"}
    assert server.post(path, json=message, headers=own).status_code == 202
    status = server.get(f"{path}/{message['request_id']}", headers=cookie)
    assert status.json()["state"] == "received"


def test_what_is_opened_here_is_taken_on_by_the_intake(
    estate: Estate, server: TestClient, token: Callable[[str], str]
) -> None:
    headers = {"Authorization": f"Bearer {token('user')}"}
    address = estate.value("accounts", "SELECT email FROM accounts ORDER BY id LIMIT 1")
    message = _message() | {"email": address}
    assert server.post("/privacy/api/v1/requests", json=message, headers=headers).status_code == 202
    estate.run("intake_subject_requests")
    path = f"/privacy/api/v1/requests/{message['request_id']}"
    assert server.get(path, headers=headers).json()["state"] == "verifying"
    row = estate.ledger.find_request(message["request_id"])
    assert row is not None
    issued = estate.ledger.issue_token(row.id, row.received_at, timedelta(days=60))
    answer = server.post(f"{path}/verify", json={"token": issued}, headers=headers)
    assert answer.json() == {"verified": True}
    assert server.get(path, headers=headers).json()["state"] == "assessing"


def test_a_description_is_served_below_airflow(
    airflow: Any, server: TestClient, token: Callable[[str], str]
) -> None:
    path = "/privacy/api/v1/openapi.json"
    assert server.get(path).status_code == 401
    document = server.get(path, headers={"Authorization": f"Bearer {token('viewer')}"}).json()
    assert document["servers"] == [{"url": "/privacy"}]


def test_the_dag_of_callbacks_is_quiet_without_any_and_red_when_nobody_can_sign(estate: Estate) -> None:
    from include.privacy.requests.opening import Opening
    from include.privacy.requests.remote import Identity, open_remote

    quiet = estate.run("deliver_status_callbacks")
    assert (quiet.state, estate.states(quiet)) == ("success", {"queue": ["success"], "deliver": ["success"]})
    opening = Opening(str(uuid4()), "access", "", "api", estate.as_of)
    row = open_remote(opening, Identity(emails=(STRANGER,)), estate.as_of, by="opendsr")
    estate.ledger.queue_callback(row.id, "https://controller.example/status", "pending", estate.as_of)
    red = estate.run("deliver_status_callbacks")
    assert estate.states(red) == {"queue": ["success"], "deliver": ["failed"]}


@pytest.fixture
def api_server(estate: Estate, tmp_path: Path) -> Iterator[str]:
    """A real ``airflow api-server`` with metadata of its own, started away from the project; its address.

    The queue's connection is in the metadata, all others are in the environment.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"admin": "secret"}))
    kept = ("AIRFLOW_CONN_", "PRIVACY_MASTER")
    env = {k: v for k, v in os.environ.items() if k.startswith(kept) and k != "AIRFLOW_CONN_REQUEST_QUEUE"}
    env |= AIRFLOW_ENV | {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    airflow = str(Path(sys.executable).with_name("airflow"))
    queue = estate.world.env["AIRFLOW_CONN_REQUEST_QUEUE"]
    for command in (["db", "migrate"], ["connections", "add", "request_queue", "--conn-json", queue]):
        done = subprocess.run(
            [airflow, *command],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    process = estate.world.table.spawn(
        "api-server-of-tests", [airflow, "api-server"], env=env, cwd=tmp_path, tied=True
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            assert alive(process) and time.monotonic() < deadline, tail(process.log)
            try:
                httpx.get(f"{url}/api/v2/version", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        estate.world.table.stop(["api-server-of-tests"], grace=3)


@pytest.mark.timeout(400)
def test_a_real_api_server_finds_the_project_and_connections_of_the_environment_and_the_metadata(
    estate: Estate, api_server: str, sqs_client: Any
) -> None:
    signed_in = httpx.post(
        f"{api_server}/auth/token", json={"username": "admin", "password": "secret"}, timeout=30
    )
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    message = _message()
    answer = httpx.post(f"{api_server}/privacy/api/v1/requests", json=message, headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text
    followed = httpx.get(f"{api_server}{answer.json()['status_url']}", headers=headers, timeout=30)
    assert followed.json()["state"] == "received"
    unset = httpx.get(f"{api_server}/privacy/opendsr/v2/discovery", headers=headers, timeout=30)
    assert unset.status_code == 503 and "opendsr_processor" in unset.json()["detail"]

    rung: list[str] = []
    deadline = time.monotonic() + 30
    while message["request_id"] not in "".join(rung) and time.monotonic() < deadline:
        received = sqs_client.receive_message(
            QueueUrl=estate.world.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        for each in received.get("Messages", []):
            rung.append(each["Body"])
            sqs_client.delete_message(QueueUrl=estate.world.queue_url, ReceiptHandle=each["ReceiptHandle"])
    log = next(p.log for p in estate.world.table.recorded() if p.name == "api-server-of-tests")
    said = Path(log).read_text()
    assert message["request_id"] in "".join(rung), f"the queue's connection is in Airflow's metadata: {said}"
    assert STRANGER not in said
