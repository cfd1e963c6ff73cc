"""Collections as Frictionless Table Schemas, and the ``datapackage.json`` that names all files.

Data Package and Table Schema v1 (specs.frictionlessdata.io), types from PostgreSQL's catalogue.
"""

from __future__ import annotations

import re
from typing import Any

from include.privacy.archives.writer import Listed
from include.privacy.planning.exporting import Collection, ExportField

NULL = "\\N"
"""Null in CSV, where an empty value is an empty text. JSON Lines have a null of their own."""

_TYPES = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "real": "number",
    "double precision": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "datetime",
    "timestamp without time zone": "datetime",
    # A document may be an object, an array or a plain value.
    "json": "any",
    "jsonb": "any",
}
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")


def field_type(type_: str) -> str:
    """The Table Schema type of a PostgreSQL type; what has no counterpart is a string."""
    plain = re.sub(r"\(.*?\)", "", type_)
    if plain.endswith("[]"):
        return "array"
    return "number" if plain == "numeric" else _TYPES.get(plain, "string")


def schema_of(collection: Collection) -> dict[str, Any]:
    """The Table Schema of a collection."""
    schema: dict[str, Any] = {
        "fields": [_field(f) for f in collection.fields],
        "missingValues": [NULL],
    }
    return schema | ({"primaryKey": list(collection.key)} if collection.key else {})


def table_resource(collection: Collection, listed: Listed) -> dict[str, Any]:
    """One file of rows as a resource."""
    csv = listed.path.endswith(".csv")
    resource = _resource(listed) | {
        "profile": "tabular-data-resource",
        "type": "table",
        "title": f"{collection.store}: {collection.name}",
        "description": collection.description,
        "format": "csv" if csv else "jsonl",
        "mediatype": "text/csv" if csv else "application/jsonl",
        "encoding": "utf-8",
        "schema": schema_of(collection),
    }
    if csv:
        resource["dialect"] = {
            "delimiter": ",",
            "lineTerminator": "\r\n",
            "quoteChar": '"',
            "doubleQuote": True,
            "skipInitialSpace": False,
            "header": True,
        }
    return resource


def file_resource(listed: Listed) -> dict[str, Any]:
    """Any other file as a resource."""
    return _resource(listed) | {"type": "file", "profile": "data-resource"}


def _resource(listed: Listed) -> dict[str, Any]:
    name = _NOT_IN_A_NAME.sub("-", listed.path.lower().replace("/", "."))
    return {"name": name, "path": listed.path, "bytes": listed.bytes, "hash": f"sha256:{listed.sha256}"}


def _field(field: ExportField) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": field.name,
        "type": "string" if field.file else field_type(field.type),
        "description": field.description,
        "category": field.category,
        "origin": field.origin,
    }
    if field.type == "uuid":
        described["format"] = "uuid"
    if field.type in ("json", "jsonb"):
        described["contentMediaType"] = "application/json"
    return described
