"""How a page says what it measured: values for the prose, and values that settle a claim.

Everything travels in the page's own outputs. A published value is a glue output, which prose reads with
``{glue:text}``; a recorded claim is an output of its own kind, which the ledger reads from the executed page.
Outside of a notebook the same calls print.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bindery.claims.model import Claim
from bindery.claims.records import read
from bindery.claims.schema import PROFILES
from bindery.claims.verdicts import Measurement, decide
from bindery.emit import CLAIM_MIME, Registry, display, glue, glue_text, one_line, rounded, whole
from bindery.root import find_root

__all__ = ["CLAIM_MIME", "configure", "configured", "publish", "record"]

Number = float | int
Ends = tuple[Number, Number]
Triple = tuple[Number, Number, Number]


@dataclass
class _Page:
    """What the page being executed is, and what it has published."""

    profile: str | None = None
    seed: int | None = None
    registry: Registry = field(default_factory=Registry)


_page = _Page()


def configure(profile: str, seed: int) -> None:
    """Say which profile and seed the page is executed with; called once, right after the parameters.

    Args:
        profile: ``"quick"`` or ``"paper"``.
        seed: The page's seed, at least 0.

    Raises:
        TypeError: ``seed`` is not a whole number.
        ValueError: ``profile`` is unknown, or ``seed`` is negative.

    >>> configure("quick", seed=0)
    """
    if profile not in PROFILES:
        raise ValueError(f"profile was {profile!r}; it must be 'quick' or 'paper'")
    _page.seed = whole("seed", seed, least=0)
    _page.profile = profile
    _page.registry.taken.clear()


def configured() -> tuple[str | None, int | None]:
    """Return the profile and the seed that ``configure`` was called with, ``(None, None)`` before that.

    >>> configure("quick", seed=3)
    >>> configured()
    ('quick', 3)
    """
    return _page.profile, _page.seed


def publish(key: str, value: Number | str) -> None:
    """Make a value available to the prose, as ``{glue:text}`` with its key and a format.

    Args:
        key: Lower-case letters, digits, dots, hyphens and underscores, such as ``"noise-slope"``.
        value: A number, rounded to six significant digits, or one line of text.

    Raises:
        TypeError: ``value`` is neither a number nor text.
        ValueError: The key is malformed or published already, or the value is not finite or not one line.

    >>> publish("noise-slope", 1.00123456)
    noise-slope = 1.00123
    """
    text = glue_text(key, value)
    _page.registry.take([key])
    if not glue(key, text):
        print(f"{key} = {text}")


def record(
    claim_id: str,
    value: Number | Mapping[str, Number],
    interval: Ends | Mapping[str, Ends],
    *,
    control: Triple | Mapping[str, Triple] | None = None,
    n: int,
    unit: str = "seed",
    note: str = "",
) -> None:
    """Record what was measured for a claim; its verdict follows from the claim's record and this alone.

    Shows one readable line, stores the numbers in the page's outputs, and publishes for the prose the keys
    ``<id>``, ``<id>.low``, ``<id>.high``, ``<id>.control``, ``<id>.control-low``, ``<id>.control-high`` and,
    where the claims are at hand, ``<id>.verdict``. A claim with several quantities takes mappings from each
    quantity's name; its keys are ``<id>.<quantity>``, ``<id>.<quantity>.low`` and so on.

    Args:
        claim_id: The id of a record in ``claims/``.
        value: The measured value.
        interval: The two ends of its 99 % interval, ``(low, high)``; both are the value where it is a count.
        control: The control's ``(value, low, high)`` at the same seeds and sizes; None for a claim that has
            none. With several quantities, a mapping of those that the control measures.
        n: How many independent units stand behind the value.
        unit: What one unit is: ``"seed"``, ``"trained model"``, ``"trial"``.
        note: A remark that is stored with the value.

    Raises:
        TypeError: A number is not a number, or a text not text.
        ValueError: A number is not finite, an interval does not hold its value, the claim is unknown or
            recorded already, its quantities or its control are not those of its record, or ``configure`` was
            not called.
    """
    if _page.profile is None or _page.seed is None:
        raise ValueError("profile was never set; call configure(profile, seed) before recording a claim")
    claim_id, unit = one_line("claim_id", claim_id), one_line("unit", unit)
    claim = _claim(claim_id)
    parts = ("value", "low", "high")
    fields: dict[str, Any] = {"id": claim_id, "n": whole("n", n, least=1), "unit": unit}
    fields |= {"profile": _page.profile, "seed": _page.seed, "note": one_line("note", note, empty=True)}
    fields |= dict(zip(parts, _split("value", _join(value, interval)), strict=True))
    controls = (None, None, None) if control is None else _split("control", control)
    fields |= {f"control_{part}": number for part, number in zip(parts, controls, strict=True)}
    word = None if claim is None else _verdict(claim, fields)
    keys = _keys(fields) | ({f"{claim_id}.verdict": word} if word else {})
    glued = {key: glue_text(key, item) for key, item in keys.items()}
    _page.registry.take(glued)
    line = _line(fields, word)
    if not display({CLAIM_MIME: json.dumps(fields, sort_keys=True, ensure_ascii=False), "text/plain": line}):
        print(line)
        return
    for key, text in glued.items():
        glue(key, text)


def _claim(claim_id: str) -> Claim | None:
    """Return the claim's record; None where the page is executed away from the book."""
    root = find_root()
    if root is None:
        return None
    records = read(root)
    if claim_id in records.claims:
        return records.claims[claim_id]
    broken = [str(problem) for problem in records.problems if problem.id == claim_id]
    if broken:
        raise ValueError(f"claim_id was {claim_id!r}, whose record is not sound: {'; '.join(broken)}")
    close = records.closest(claim_id)
    hint = f"; did you mean {close!r} of {records.claims[close].file}?" if close else ""
    raise ValueError(
        f"claim_id was {claim_id!r}, of which no file of {root / 'claims'} has a sound record{hint}"
    )


def _verdict(claim: Claim, fields: Mapping[str, Any]) -> str:
    """Return the verdict's word, after checking that what is recorded is what the claim's record asks for."""
    demanded = claim.control.reason is None
    if claim.testable and demanded != (fields["control_value"] is not None):
        wanted = "must be measured" if demanded else f"must be None ({claim.control.reason})"
        raise ValueError(f"control of {claim.id} {wanted}, by the record in {claim.file}:{claim.line}")
    return decide(claim, Measurement.from_json(fields, claim)).word


def _join(value: Any, interval: Any) -> Any:
    """Return value and interval as one triple, or as a mapping to triples."""
    if not isinstance(value, Mapping) and not isinstance(interval, Mapping):
        return (value, *_tuple("interval", interval, 2))
    if not isinstance(value, Mapping) or not isinstance(interval, Mapping) or set(value) != set(interval):
        raise ValueError(f"interval was {interval!r}; it must have the same quantities as value, {value!r}")
    return {name: (value[name], *_tuple(f"interval of {name}", interval[name], 2)) for name in value}


def _tuple(name: str, given: Any, size: int) -> tuple[Any, ...]:
    items = tuple(given) if isinstance(given, tuple | list) else ()
    if len(items) != size:
        wanted = {2: "(low, high)", 3: "(value, low, high)"}[size]
        raise ValueError(f"{name} was {given!r}; it must be {wanted}")
    return items


def _split(name: str, given: Any) -> list[Any]:
    """Return value, low and high: each a rounded number, or a mapping of rounded numbers."""
    if not isinstance(given, Mapping):
        return list(_triple(name, given))
    if not given:
        raise ValueError(f"{name} was empty; it must have at least one quantity")
    rows = {str(key): _triple(f"{name} of {key}", triple) for key, triple in given.items()}
    return [{key: row[part] for key, row in rows.items()} for part in range(3)]


def _triple(name: str, given: Any) -> Triple:
    value, low, high = (rounded(name, number) for number in _tuple(name, given, 3))
    if not low <= value <= high:
        raise ValueError(f"{name} was {value} with the interval ({low}, {high}); it must lie inside of it")
    return value, low, high


_SUFFIXES = {
    "value": "",
    "low": ".low",
    "high": ".high",
    "control_value": ".control",
    "control_low": ".control-low",
    "control_high": ".control-high",
}


def _keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the glue keys of a recorded claim with their values."""
    keys: dict[str, Any] = {}
    for name, suffix in _SUFFIXES.items():
        if isinstance(fields[name], Mapping):
            keys |= {f"{fields['id']}.{quantity}{suffix}": item for quantity, item in fields[name].items()}
        elif fields[name] is not None:
            keys[f"{fields['id']}{suffix}"] = fields[name]
    return keys


def _line(fields: Mapping[str, Any], word: str | None) -> str:
    """Return the readable line: three digits, so that another machine's last digits do not change it."""
    units = f"{fields['n']} {fields['unit']}{'s' if fields['n'] > 1 else ''}"
    control = "" if fields["control_value"] is None else f"; control {_shown(fields, 'control_')}"
    line = f"{fields['id']}: {_shown(fields, '')}{control}; {units}, {fields['profile']} profile"
    return f"{line}: {word}" if word else line


def _shown(fields: Mapping[str, Any], prefix: str) -> str:
    value, low, high = (fields[prefix + part] for part in ("value", "low", "high"))
    if not isinstance(value, Mapping):
        return f"{value:.3g} [{low:.3g}, {high:.3g}]"
    return ", ".join(f"{name} = {value[name]:.3g} [{low[name]:.3g}, {high[name]:.3g}]" for name in value)
