"""What a page says of a claim: the numbers that it records, the keys for the prose, and one line to read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bindery.claims.intervals import Estimate, by_seed
from bindery.claims.model import Claim
from bindery.claims.records import read
from bindery.claims.verdicts import Measurement, decide
from bindery.emit import one_line, rounded
from bindery.root import BookError, find_root

# One value per seed, or what the functions of bindery.claims.intervals make.
Datum = Any
PARTS = ("value", "low", "high")


def statement(
    claim_id: str,
    quantities: Datum | Mapping[str, Datum],
    control: Datum | Mapping[str, Datum] | None,
    *,
    profile: str,
    seed: int,
    unit: str,
    note: str,
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the fields that a page records for a claim, the values for its prose by key, and a line."""
    claim_id = one_line("claim_id", claim_id)
    claim = _record(claim_id)
    value, n = _estimates("quantities", quantities)
    broken = [None, None, None] if control is None else _estimates("control", control)[0]
    fields: dict[str, Any] = {"id": claim_id, "n": n, "unit": one_line("unit", unit)}
    fields |= {"profile": profile, "seed": seed, "note": one_line("note", note, empty=True)}
    fields |= dict(zip(PARTS, value, strict=True))
    fields |= {f"control_{part}": held for part, held in zip(PARTS, broken, strict=True)}
    word = None
    if claim is not None:
        demanded = claim.control.reason is None
        if claim.testable and demanded != (control is not None):
            wanted = "must be measured" if demanded else f"must be None ({claim.control.reason})"
            raise ValueError(f"control of {claim.id} {wanted}, by the record in {claim.file}:{claim.line}")
        word = decide(claim, Measurement.from_json(fields, claim)).word
    values = keys(fields) | ({f"{claim_id}.verdict": word} if word else {})
    return fields, values, _line(fields, word)


def _record(claim_id: str) -> Claim | None:
    """Return the claim's record; None where the page is executed away from the book."""
    root = find_root()
    try:
        return read(root).known(claim_id) if root else None
    except BookError as error:
        raise ValueError(f"claim_id was {claim_id!r}, but in {root} {error}") from None


def _estimates(name: str, given: Any) -> tuple[list[Any], int]:
    """Return value, low and high, each a number or a mapping of numbers, and the fewest units behind one."""
    if not isinstance(given, Mapping):
        one = _estimate(name, given)
        return list(one), one.n
    if not given:
        raise ValueError(f"{name} was empty; it must have at least one quantity")
    rows = {str(key): _estimate(f"{name} of {key}", datum) for key, datum in given.items()}
    parts = [{key: row[part] for key, row in rows.items()} for part in range(3)]
    return parts, min(row.n for row in rows.values())


def _estimate(name: str, datum: Any) -> Estimate:
    if not isinstance(datum, Estimate):
        if np.ndim(datum) != 1:
            must = "it must be one value per seed, or made by counts or exact"
            raise TypeError(f"{name} was {datum!r}; {must}")
        try:
            datum = by_seed(datum)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    value, low, high = (rounded(name, number) for number in datum)
    return Estimate.of(value, low, high, datum.n)


def keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = [*PARTS, *(f"control_{part}" for part in PARTS)]
    suffixes = ("", ".low", ".high", ".control", ".control-low", ".control-high")
    for name, suffix in zip(names, suffixes, strict=True):
        held = fields[name]
        if isinstance(held, Mapping):
            found |= {f"{fields['id']}.{quantity}{suffix}": item for quantity, item in held.items()}
        elif held is not None:
            found[f"{fields['id']}{suffix}"] = held
    return found


def _line(fields: Mapping[str, Any], word: str | None) -> str:
    """Return the readable line: three digits, so that another machine's last digits do not change it."""
    units = f"{fields['n']} {fields['unit']}{'s' if fields['n'] > 1 else ''}"
    control = "" if fields["control_value"] is None else f"; control {_shown(fields, 'control_')}"
    line = f"{fields['id']}: {_shown(fields, '')}{control}; {units}, {fields['profile']} profile"
    return f"{line}: {word}" if word else line


def _shown(fields: Mapping[str, Any], prefix: str) -> str:
    value, low, high = (fields[prefix + part] for part in PARTS)
    if not isinstance(value, Mapping):
        return f"{value:.3g} [{low:.3g}, {high:.3g}]"
    return ", ".join(f"{name} = {value[name]:.3g} [{low[name]:.3g}, {high[name]:.3g}]" for name in value)
