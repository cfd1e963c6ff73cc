"""Stand-ins for the processors, one file each: their documented APIs on 127.0.0.1, with state and faults.

All run in one process, each on a port of its own. They are honest about what an answer means (202 is
queued, a lost answer may have had its effect) and can be told to fail; docs/LIMITS.md says what they are not.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from include.sandbox.processes import ProcessTable, Running, free_port, responds

HOST = "127.0.0.1"
SENDGRID = "sendgrid"
PAYPAL = "paypal"
PAYPAL_CLIENT = "AZDxjDScFpQtjWTOUtWKbyN_bDt4OgqaF4eYXlewfBP4"
"""The client id of our app at the stand-in; its secret is the key."""
RDS, GOOGLE_CLOUD, AWS_SECURITY = "rds", "google_cloud", "aws_security"
MAKERS = {
    SENDGRID: "include.sandbox.processors.sendgrid:SendGrid",
    PAYPAL: "include.sandbox.processors.paypal:PayPal",
    "plausible": "include.sandbox.processors.plausible:Plausible",
    "stripe": "include.sandbox.processors.stripe:Stripe",
    "postmark": "include.sandbox.processors.postmark:Postmark",
    RDS: "include.sandbox.processors.rds:RdsSnapshots",
    GOOGLE_CLOUD: "include.sandbox.processors.google_cloud:GoogleCloud",
    AWS_SECURITY: "include.sandbox.processors.aws_security:AwsSecurity",
}
"""Each stand-in by name: ``module:class``, made with the world's folder and the key that it takes."""
KEY_VARIABLE = "STAND_IN_KEY_"


def start_processors(
    table: ProcessTable, keys: Mapping[str, str], *, root: Path, tied: bool = False
) -> tuple[Running, dict[str, str]]:
    """Spawn the stand-ins of ``keys`` (name → API key) and return them with their URLs; not yet answering.

    ``root`` is the folder that holds the package ``include``.
    """
    ports = {name: free_port() for name in keys}
    argv = [sys.executable, "-m", "include.sandbox.processors", "--data", str(table.folder)]
    argv += [f"{name}={port}" for name, port in ports.items()]
    # Keys travel in the environment: everybody may read the arguments of a process.
    secret = {f"{KEY_VARIABLE}{name.upper()}": key for name, key in keys.items()}
    env = {**os.environ, "PYTHONPATH": str(root)} | secret
    process = table.spawn("processors", argv, env=env, cwd=root, tied=tied)
    return process, {name: f"http://{HOST}:{port}" for name, port in ports.items()}


LOGINS = {PAYPAL: PAYPAL_CLIENT}
"""Who logs in, where the key alone does not say it."""


def new_key(name: str) -> str:
    """A key that looks like those of the processor."""
    prefix = {SENDGRID: "SG.", "stripe": "rk_test_", PAYPAL: "E"}.get(name, "")
    return prefix + secrets.token_urlsafe(32)


def ready(endpoints: Mapping[str, str]) -> bool:
    """Whether all of them take requests."""
    return all(responds(endpoint, "/_sandbox/faults") for endpoint in endpoints.values())
