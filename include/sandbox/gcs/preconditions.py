"""``ifGenerationMatch`` and its relatives: https://cloud.google.com/storage/docs/request-preconditions."""

from __future__ import annotations

from include.sandbox.gcs.errors import ApiError, precondition_failed
from include.sandbox.gcs.exchange import Request
from include.sandbox.gcs.resources import Bucket, Version


def check(request: Request, version: Version | Bucket | None, *, source: bool = False) -> None:
    """Raise 412 (304 for a GET and a *NotMatch*) unless every precondition holds.

    ``version`` None: there is no live version, which only ``ifGenerationMatch=0`` asks for.
    ``source`` reads the ``ifSource…`` parameters of a copy.
    """
    stem = "ifSource" if source else "if"
    generation = version.generation if isinstance(version, Version) else 0
    metageneration = version.metageneration if version is not None else -1
    for name, actual in (("Generation", generation), ("Metageneration", metageneration)):
        wanted = request.integer(f"{stem}{name}Match")
        if wanted is not None and wanted != actual:
            raise precondition_failed(f"{stem}{name}Match")
        unwanted = request.integer(f"{stem}{name}NotMatch")
        if unwanted is not None and (version is None or unwanted == actual):
            if request.method == "GET":
                raise ApiError(304, "Not Modified")
            raise precondition_failed(f"{stem}{name}NotMatch")
