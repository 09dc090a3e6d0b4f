"""Two executions of one output in two arithmetics: what must be the same, and how near the rest must be.

Text is the same on every machine, verdicts among it. A recorded value agrees to a tenth of the half-width of
its interval: less than what the seeds leave open, and more than rounding makes of a descent. The numbers of a
figure and the coordinates of its picture agree to what a reader could see.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from bindery.claims.statement import PARTS, keys
from bindery.emit import CLAIM_MIME, GLUE_PREFIX
from bindery.figures.encoding import BUNDLE_MIME, Bundle, decode_csv, decode_npz
from bindery.runs.rowfile import from_text

# Of an output's data: a mime type, what it holds, and the name of a bound value in the output's metadata.
Output = tuple[str, str, str]
# The name of the readable line beside a recorded claim.
CLAIM_LINE = "claim"

SHARE = 0.1  # of the half-width of a value's interval
RELATIVE = 1e-4  # for a value without an interval
# Of a figure's numbers: relative to each, and to the largest of its column.
RTOL, ATOL = 1e-3, 1e-6
# Of a picture's coordinates, in points: a line is wider.
POINTS = 0.75
_SHOWN = 5
_ENDS = re.compile(r"([.-])(?:control-)?(?:low|high)$|(\.)control$")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|inf|nan")
# Names that matplotlib makes of what they name, and pixels, whose numbers travel beside the picture.
_MADE = re.compile(r"\b[a-z]{0,4}[0-9a-f]{10}\b|data:image/png;base64,[A-Za-z0-9+/=\s]*")
# matplotlib draws letters as outlines, and says beside them what they are.
_WORDS, _TICK = re.compile("<!-- (.*?) -->"), re.compile(r"mathdefault|^[−+\d.-]+$")
_PATH = re.compile(r'( (?:d|points)=")([^"]*)"')


def differences(ours: Iterable[Output], theirs: Iterable[Output]) -> list[str]:
    """Say where a cell's outputs of another execution are not those of its page, but for rounding."""
    mine, new = list(ours), list(theirs)
    if [(kind, name) for kind, _, name in mine] != [(kind, name) for kind, _, name in new]:
        return [f"the page has the outputs {_listed(mine)}, the execution {_listed(new)}"]
    glued = {name: text for kind, text, name in mine if kind.startswith(GLUE_PREFIX)}
    moving = any(Bundle.from_json(old).moves for kind, old, _ in mine if kind == BUNDLE_MIME)
    found: list[str] = []
    for (kind, old, name), (_, text, _) in zip(mine, new, strict=True):
        if old == text:
            continue
        if kind == CLAIM_MIME:
            found += _claims(json.loads(old), json.loads(text))
        elif kind == BUNDLE_MIME:
            found += figure_differences(Bundle.from_json(old), Bundle.from_json(text))
        elif kind == "image/svg+xml":
            found += word_differences(old, text) if moving else picture_differences(old, text)
        elif kind.startswith(GLUE_PREFIX):
            found += value_differences(name, glued, text)
        elif name == CLAIM_LINE:
            # The line that says what was recorded: its numbers are compared where they have all their digits.
            if _NUMBER.sub("#", old) != _NUMBER.sub("#", text):
                found.append(f"page {old!r}, execution {text!r}")
        else:
            found.append(f"{kind}: page {old[:200]!r}, execution {text[:200]!r}")
    return found


def _listed(outputs: Iterable[Output]) -> str:
    return ", ".join(f"{kind} {name}".strip() for kind, _, name in outputs) or "none"


def value_differences(name: str, values: Mapping[str, str], text: str) -> Iterator[str]:
    old = values[name]
    found = _ENDS.search(name)
    base = name[: found.start()] if found else name
    mark = (found[1] or found[2]) if found else ""
    control = "control" in name[len(base) :]
    slack = 0.0
    for joint in (mark,) if mark else (".", "-"):
        ends = [values.get(f"{base}{joint}{'control-' * control}{end}") for end in ("low", "high")]
        if ends[0] is not None and ends[1] is not None:
            slack = SHARE * (_number(ends[1]) - _number(ends[0])) / 2
    allowed = slack if slack > 0 else RELATIVE * abs(_number(old))
    if not abs(_number(text) - _number(old)) <= allowed:
        yield f"{name}: page {old}, execution {text}; they may differ by {allowed:.2g}"


def _claims(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    numbers = {f"{prefix}{part}" for prefix in ("", "control_") for part in PARTS}
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in numbers and ours.get(name) != theirs.get(name):
            yield f"{ours['id']}, {name}: page {ours.get(name)}, execution {theirs.get(name)}"
    mine, new = ({name: str(value) for name, value in keys(one).items()} for one in (ours, theirs))
    if mine.keys() != new.keys():
        yield f"{ours['id']}: the page has the quantities {sorted(mine)}, the execution {sorted(new)}"
    else:
        for name, text in new.items():
            yield from value_differences(name, mine, text)


def figure_differences(ours: Bundle, theirs: Bundle) -> list[str]:
    name = ours.name
    for field in ("name", "profile", "seeds", "columns"):
        mine, new = getattr(ours, field), getattr(theirs, field)
        if mine != new:
            return [f"{name}: the page has the {field} {mine}, the execution {new}"]
    if (ours.csv is None) != (theirs.csv is None):
        return [f"{name}: one of page and execution has a table, the other images"]
    found = list(_tables(ours, theirs) if ours.csv is not None else _arrays(ours, theirs))
    return found[:_SHOWN] + ([f"{name}: and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])


def _tables(stored: Bundle, other: Bundle) -> Iterator[str]:
    ours, theirs = decode_csv(stored.csv or ""), decode_csv(other.csv or "")
    rows, others = (len(next(iter(table.values()))) for table in (ours, theirs))
    if rows != others:
        yield f"{stored.name}: the page has {rows} rows, the execution {others}"
        return
    for column in ours:
        sizes = [abs(value) for value in map(_number, ours[column]) if math.isfinite(value)]
        slack = ATOL * max(sizes, default=0.0)
        moves = stored.moves.get(column, [0.0] * rows)
        pairs = zip(ours[column], theirs[column], moves, strict=True)
        for row, (mine, new, far) in enumerate(pairs, start=1):
            size = abs(_number(mine))
            if mine != new and not abs(_number(mine) - _number(new)) <= slack + far + RTOL * size:
                yield f"{stored.name}: column {column}, row {row}: page {mine}, execution {new}"


def _number(text: str) -> float:
    """Return a number; not-a-number for a word, which is close to nothing but itself."""
    value = from_text(text)
    return math.nan if isinstance(value, str | bool) else float(value)


def _arrays(stored: Bundle, other: Bundle) -> Iterator[str]:
    ours, theirs = decode_npz(stored.npz or ""), decode_npz(other.npz or "")
    for name, array in ours.items():
        new = theirs[name]
        if array.shape != new.shape:
            yield f"{stored.name}: array {name}: shapes: page {array.shape}, execution {new.shape}"
            continue
        # They are stored to four digits of the largest entry: the last may be rounded the other way.
        slack = RTOL * float(np.nanmax(np.abs(array), initial=0.0))
        bad = ~np.isclose(array, new, rtol=RTOL, atol=slack, equal_nan=True)
        for where in map(tuple, np.argwhere(bad).tolist()):
            mine_new = f"page {array[where]:.6g}, execution {new[where]:.6g}"
            yield f"{stored.name}: array {name}, entry {where}: {mine_new}"


def picture_differences(ours: str, theirs: str) -> list[str]:
    """Say where two pictures differ by more than the width of a line."""
    mine, new = (_PATH.sub(_outline, _MADE.sub("#", picture)) for picture in (ours, theirs))
    if _NUMBER.sub("#", mine) != _NUMBER.sub("#", new):
        return ["the execution draws other elements, or writes other words, than the page"]
    pairs = zip(_NUMBER.findall(mine), _NUMBER.findall(new), strict=True)
    far = max((abs(float(one) - float(two)) for one, two in pairs), default=0.0)
    return [f"the execution draws {far:.2g} points away from the page"] if far > POINTS else []


def word_differences(ours: str, theirs: str) -> list[str]:
    """Say whether two pictures whose numbers may move, those of their axes too, bear other words."""
    mine, new = ({word for word in _WORDS.findall(one) if not _TICK.search(word)} for one in (ours, theirs))
    said = f"the execution writes {sorted(new - mine)}, the page {sorted(mine - new)}"
    return [] if mine == new else [said]


def _outline(path: re.Match[str]) -> str:
    """A path by what it covers: matplotlib leaves out points that are in line with their neighbours."""
    numbers = [float(number) for number in _NUMBER.findall(path[2])]
    x, y = numbers[::2] or [0.0], numbers[1::2] or [0.0]
    return f'{path[1]}{min(x)} {max(x)} {min(y)} {max(y)}"'
