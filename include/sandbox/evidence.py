"""The outsider in the sandbox: fetches the bucket of evidence and verifies it with a public key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from include.tools import verify_evidence

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def fetch(s3: S3Client, bucket: str, origin: str, folder: Path) -> Path:
    """What `aws s3 sync` would make of the log: ``segments/``, ``checkpoints/``, ``reports/``."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{origin}/"):
        for found in page.get("Contents", []):
            path = folder / found["Key"].removeprefix(f"{origin}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    return folder


def verify(folder: Path, verifier_key: str) -> tuple[bool, str]:
    """Run the program as a plain script, apart from this project; whether all holds, and what it says."""
    command = [sys.executable, "-I", str(Path(verify_evidence.__file__)), str(folder), "--key", verifier_key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()
