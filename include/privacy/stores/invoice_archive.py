"""Invoices that tax law wants when a processor's copy is erased: one object each, under the day of issue.

The key's date is what the retention rule counts from: an invoice of nine years ago that is stored today
is due next year. Encrypted by S3 under a KMS key; readable by us alone, since no link is ever made.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.stores.objects.model import BucketError
from include.privacy.stores.s3_errors import code_of, told

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_ID = re.compile(r"[A-Za-z0-9_-]{1,120}")
_THERE = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})


class InvoiceBucket:
    """One bucket with an ``archives:`` prefix that holds invoices. ``client``: ``stores.s3.s3_client``.

    All methods raise :class:`BucketError` when the bucket is gone or access is denied.
    """

    def __init__(self, bucket_map: BucketMap, client: S3Client, kms_key_id: str) -> None:
        mapped = bucket_map.archive("invoices")
        if mapped is None:
            raise ValueError(f"store {bucket_map.store!r} has no `archives:` that hold invoices")
        self.name = bucket_map.store
        self._prefix = mapped.prefix
        self._client, self._key_id = client, kms_key_id
        self._bucket = bucket_map.bucket

    def put(self, invoice_id: str, issued: date, document: bytes) -> bool:
        """Store a document once; returns whether it was new.

        What is stored already stays: a later copy from the processor may be redacted. Raises
        ``ValueError`` for an id that may not enter a key.
        """
        key = self.key(invoice_id, issued)
        if self._there(key):
            return False
        with told(self._bucket, "storing an invoice", "s3:PutObject and kms:GenerateDataKey"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=document,
                    # Of two copies of a task one writes, and the other finds it written.
                    IfNoneMatch="*",
                    ContentType="application/json",
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=self._key_id,
                    BucketKeyEnabled=True,
                    Metadata={"sha256": hashlib.sha256(document).hexdigest()},
                )
            except ClientError as error:
                if code_of(error) in _THERE:
                    return False
                raise
        if not self._there(key):
            raise BucketError(f"bucket {self._bucket!r}: an invoice was stored and is not there; try again")
        return True

    def key(self, invoice_id: str, issued: date) -> str:
        """Where it lies: the day of issue comes first, because the retention rule reads it there."""
        if not _ID.fullmatch(invoice_id):
            raise ValueError("the invoice's id has characters that may not enter a key; it was not stored")
        return f"{self._prefix}{issued:%Y-%m-%d}/{invoice_id}.json"

    def _there(self, key: str) -> bool:
        """Whether it is stored, and encrypted as it must be."""
        with told(self._bucket, "looking for an invoice", "s3:GetObject and kms:Decrypt"):
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchKey", "NotFound"):
                    return False
                raise
        if head.get("ServerSideEncryption") != "aws:kms":
            raise BucketError(f"bucket {self._bucket!r} does not encrypt invoices with KMS; correct it")
        return True
