"""The plugin: free to import anywhere, and calm when what it mounts cannot be built."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from include.privacy.api.app import MOUNTED_AT

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "privacy_api.py"


@pytest.fixture
def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("privacy_api", PLUGIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_importing_it_costs_nothing_in_processes_that_serve_nobody() -> None:
    code = (
        "import sys, airflow.plugins_manager\n"
        "before = set(sys.modules)\n"
        f"sys.path.append({str(PLUGIN.parent)!r})\n"
        "import privacy_api\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "print(sorted(new & {'include', 'fastapi', 'starlette', 'sqlalchemy', 'httpx', 'psycopg'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


def test_it_is_mounted_where_the_application_thinks_it_is(plugin: ModuleType) -> None:
    (mounted,) = plugin.PrivacyApiPlugin.fastapi_apps
    assert mounted["url_prefix"] == plugin.MOUNTED_AT == MOUNTED_AT


def test_what_cannot_be_built_is_said_without_details_and_tried_again(
    plugin: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def make() -> Any:
        tries.append(1)
        if len(tries) < 2:
            raise ModuleNotFoundError("No module named 'include'")
        return PlainTextResponse("here")

    client = TestClient(plugin.LazyApplication(make))
    failed = client.get("/")
    assert (failed.status_code, "include" in failed.text) == (503, False)
    assert "No module named 'include'" in caplog.text
    assert [client.get("/").text for _ in range(2)] == ["here", "here"]
    assert len(tries) == 2
