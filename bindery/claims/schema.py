"""What a file of claims may hold: the structure that every record of ``claims/`` is checked against.

A JSON Schema says which fields there are and of what type; what one field demands of another (a control
against a criterion, a misprint against an erratum) is checked in ``bindery.claims.records``.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CHAPTERS",
    "CLAIMS_SCHEMA",
    "ERRATA_SCHEMA",
    "INDEX_SCHEMA",
    "KINDS",
    "PROFILES",
    "STANDINGS",
    "VERDICTS",
]

CHAPTERS = (
    "01_classical_cs",
    "02_sparse_relu_generators",
    "03_lower_bound",
    "04_csgm_recovery",
    "05_landscape",
    "06_gsl_reconstruction",
    "07_nnlm",
    "08_sdlss",
    "09_open_questions",
)
STANDINGS = ("stated", "quoted", "summary", "companion", "ours")
KINDS = ("construction", "bound", "number", "ordering", "trend", "qualitative")
PROFILES = ("quick", "paper")
VERDICTS = (
    "reproduced",
    "reproduced after correction",
    "contradicted",
    "not settled",
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


_CONTROL = _record({}, {"variant": _TEXT, "expect": _TEXT, "criterion": _TEXT, "none": _TEXT})
_HISTORY = {"type": "array", "items": _record({"date": _TEXT, "change": _TEXT, "why": _TEXT})}
_CLAIM = _record(
    {
        "id": _ID,
        "locus": _TEXT,
        "standing": {"enum": list(STANDINGS)},
        "claim": _TEXT,
        "kind": {"enum": list(KINDS)},
        "chapter": {"enum": list(CHAPTERS)},
        "quantity": {
            "type": "object",
            "propertyNames": {"pattern": r"^[a-z][a-z0-9_]*$"},
            "additionalProperties": _TEXT,
        },
        "criterion": _TEXT_OR_NULL,
        "tolerance": _TEXT_OR_NULL,
        "profile": {"enum": list(PROFILES)},
        "control": _CONTROL,
        "unpublished": _TEXT_OR_NULL,
        "accepted": _record({"verdict": {"enum": list(VERDICTS)}, "reason": _TEXT}),
    },
    {
        "testable": {"type": "boolean"},
        "reason": _TEXT,
        "misprint": _ID_OR_NULL,
        "history": _HISTORY,
    },
)
_ERRATUM = _record(
    {
        "id": _ID,
        "source": _TEXT,
        "locus": _TEXT,
        "printed": _TEXT,
        "corrected": _TEXT,
        "counterexample": _record({"page": {"enum": list(CHAPTERS)}, "claim": _ID}),
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
# The list that the records must match: claims/index.yml, the ids of each chapter.
INDEX_SCHEMA: dict[str, Any] = _record(
    {}, {chapter: {"type": "array", "minItems": 1, "items": _ID} for chapter in CHAPTERS}
)
