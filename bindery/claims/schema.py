"""What a file of claims may hold: the structure that every record of ``claims/`` is checked against.

A JSON Schema says which fields there are and of what type; what one field demands of another (a control
against a criterion, a misprint against an erratum) is checked in ``bindery.claims.records``.
"""

from typing import Any

STANDINGS = ("stated", "quoted", "summary", "companion", "ours")
# Those of a paper, whoever hands it down; the others are a machine's summary and our own questions.
SOURCES = ("stated", "quoted", "companion")
# What a theorem decides tests the code, and a measurement decides nothing: both are counted apart.
THEOREM, MEASUREMENT = "theorem check", "measurement"
KINDS = (THEOREM, "construction", "bound", "number", "ordering", "trend", MEASUREMENT)
PROFILES = ("quick", "paper")
VERDICTS = (
    "reproduced",
    "reproduced after correction",
    "contradicted",
    "not settled",
    "measured",
    "being judged again",
    "not testable",
    "not run",
    "void",
)

_TEXT: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"], "pattern": r"\S"}
_ID: dict[str, Any] = {"type": "string", "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$"}
_ID_OR_NULL: dict[str, Any] = {"type": ["string", "null"], "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$"}


def _record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a mapping with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


_QUANTITIES = {
    "type": "object",
    "propertyNames": {"pattern": r"^[a-z][a-z0-9_]*$"},
    "additionalProperties": _TEXT,
}
_CONTROL = _record(
    {},
    dict.fromkeys(("variant", "expect", "criterion", "by_construction", "none"), _TEXT)
    | {"spared": _QUANTITIES},
)
_CHANGE = _record({"date": _TEXT, "change": _TEXT, "why": _TEXT}, {"after_look": {"const": True}})
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
        "criterion": _TEXT_OR_NULL,
        "tolerance": _TEXT_OR_NULL,
        "control": _CONTROL,
        "unpublished": _TEXT_OR_NULL,
        "accepted": _record({"verdict": {"enum": list(VERDICTS)}, "reason": _TEXT}),
    },
    {
        "testable": {"type": "boolean"},
        "reason": _TEXT,
        "misprint": _ID_OR_NULL,
        "again": _TEXT,
        "history": {"type": "array", "items": _CHANGE},
    },
)
_ERRATUM = _record(
    {
        "id": _ID,
        "source": _TEXT,
        "locus": _TEXT,
        "printed": _TEXT,
        "corrected": _TEXT,
        "counterexample": _record({"page": _TEXT, "claim": _ID}),
        "survives": _TEXT,
        "claims": {"type": "array", "items": _ID},
    }
)

# One paper's claims: claims/<paper>.yml.
CLAIMS_SCHEMA: dict[str, Any] = _record(
    {"paper": _TEXT, "key": _TEXT, "claims": {"type": "array", "minItems": 1, "items": _CLAIM}}
)
# All misprints: claims/errata.yml.
ERRATA_SCHEMA: dict[str, Any] = _record({"errata": {"type": "array", "items": _ERRATUM}})
# The list that the records must match: claims/index.yml, the chapters in their order and the ids of each.
INDEX_SCHEMA: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": r"^\d\d_[a-z0-9_]+$"},
    "additionalProperties": {"type": "array", "minItems": 1, "items": _ID},
}
