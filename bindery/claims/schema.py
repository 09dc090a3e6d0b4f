"""What a file of claims may hold: the structure that every record of ``claims/`` is checked against.

A JSON Schema says which fields there are and of what type; what one field demands of another (a control
against a criterion, a misprint against an erratum) is checked in ``bindery.claims.records``.
"""

from typing import Any

STANDINGS = ("stated", "quoted", "summary", "companion", "ours")
# What a theorem decides tests the code, and a measurement decides nothing: both are counted apart.
THEOREM, MEASUREMENT = "theorem check", "measurement"
KINDS = (THEOREM, "construction", "bound", "number", "ordering", "trend", MEASUREMENT)
PROFILES = ("quick", "paper")
VERDICTS = (
    *("reproduced", "reproduced after correction", "contradicted", "not settled"),
    *("measured", "being judged again", "not testable", "not run", "void"),
)

_Schema = dict[str, Any]
_TEXT: _Schema = {"type": "string", "pattern": r"\S"}
_ID: _Schema = {"type": "string", "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$"}


def _or_null(schema: _Schema) -> _Schema:
    return schema | {"type": ["string", "null"]}


def _list(items: _Schema, **more: int) -> _Schema:
    return {"type": "array", "items": items, **more}


def _mapping(names: str, values: _Schema) -> _Schema:
    return {"type": "object", "propertyNames": {"pattern": names}, "additionalProperties": values}


def _record(required: _Schema, optional: _Schema | None = None) -> _Schema:
    fields = required | (optional or {})
    return {"type": "object", "required": [*required], "properties": fields, "additionalProperties": False}


_QUANTITIES = _mapping(r"^[a-z][a-z0-9_]*$", _TEXT)
_CONTROL = dict.fromkeys(("variant", "expect", "criterion", "by_construction", "none"), _TEXT)
_CHANGE = _record(dict.fromkeys(("date", "change", "why"), _TEXT), {"after_look": {"const": True}})
_CLAIM = _record(
    {
        "id": _ID,
        "locus": _TEXT,
        "standing": {"enum": list(STANDINGS)},
        "claim": _TEXT,
        "proposition": _TEXT,
        "kind": {"enum": list(KINDS)},
        "chapter": _TEXT,
        "quantity": _QUANTITIES,
        "criterion": _or_null(_TEXT),
        "tolerance": _or_null(_TEXT),
        "control": _record({}, _CONTROL | {"spared": _QUANTITIES}),
        "unpublished": _or_null(_TEXT),
        "accepted": _record({"verdict": {"enum": list(VERDICTS)}, "reason": _TEXT}),
    },
    {"testable": {"type": "boolean"}, "misprint": _or_null(_ID), "history": _list(_CHANGE)}
    | {"reason": _TEXT, "again": _TEXT},
)
_ERRATUM = _record(
    dict.fromkeys(("source", "locus", "printed", "corrected", "survives"), _TEXT)
    | {"id": _ID, "counterexample": _record({"page": _TEXT, "claim": _ID}), "claims": _list(_ID)}
)

# One paper's claims: claims/<paper>.yml.
CLAIMS_SCHEMA = _record({"paper": _TEXT, "key": _TEXT, "claims": _list(_CLAIM, minItems=1)})
# All misprints: claims/errata.yml.
ERRATA_SCHEMA = _record({"errata": _list(_ERRATUM)})
# The list that the records must match: claims/index.yml, the chapters in their order and the ids of each.
INDEX_SCHEMA = _mapping(r"^\d\d_[a-z0-9_]+$", _list(_ID, minItems=1))
