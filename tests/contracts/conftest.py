"""Every test here runs on each server, through the fixtures that the other tests use on one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contracts.differences import DIFFERENCES
from tests.contracts.servers import STARTERS, Server, running

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

HERE = Path(__file__).parent


@pytest.fixture(scope="session", params=list(STARTERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server after the other: pytest runs all tests on the first before it starts the next."""
    with running(request.param) as started:
        yield started


@pytest.fixture(scope="session")
def s3_client(server: Server) -> S3Client:
    """In the place of the sandbox's client; ``bucket`` uses it, too."""
    return server.client()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function) or HERE not in item.path.parents:
            continue
        case = item.callspec.id if hasattr(item, "callspec") else ""
        for row in DIFFERENCES:
            if row.server in case and row.test == item.originalname and row.case in case:
                # An exception of any other kind is not the difference we know.
                raises = (AssertionError, pytest.fail.Exception, *row.raises)
                item.add_marker(
                    pytest.mark.xfail(reason=row.reason, strict=True, raises=raises, run=not row.slow)
                )
