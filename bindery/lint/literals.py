"""The linter of bound prose: every measured number in prose comes from a recorded value, not from typing.

A number that is not measured (a constant of a theorem, a criterion fixed before the run) is allowed by name,
with a reason, in ``notebooks/allowed_literals.yml``::

    notebooks/01_classical_cs.ipynb:
      "20 dB": the signal-to-noise ratio that the experiment sets
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bindery.emit import claims_of, values_of
from bindery.lint.prose import Piece, pieces

ALLOWED = "notebooks/allowed_literals.yml"
_ENDS = re.compile(r"-(?:low|high)$")
# What Page.stored glues wholesale, as it stands in a stored run: no page can use all of it.
_STORED = "paper."
# What a glue role names: `key`, `key:.2f`, or `01_page.ipynb::key:.2f` from another page.
_REFERENCE = re.compile(r"(?:(?P<page>[^:]+)::)?(?P<key>[^:]+)(?::(?P<format>.*))?")
_ZERO_WITH_SIGN = re.compile(r"-0(\.0*)?%?")

# Numbers that are names: places in a source, versions, licences, identifiers.
_PLACES = (
    "algorithm|appendix|assumption|chapter|claim|conjecture|corollary|definition|eq|equation|example|fig|figure"
    "|lemma|prop|proposition|remark|sec|section|table|thm|theorem"
)
_SOFTWARE = (
    "apache|attribution|book|cc by|cuda|gpl|mathjax|matplotlib|numpy|python|(?:py)?torch|scipy|version"
)
_PLACE = r"\(?(?:[A-Z]\.)?\d+(?:\.\d+)*[a-z]?\)?"
_AND = r"(?:,?\s(?:to|and|or)\s|-|–)"
_NAMES = re.compile(
    # Commas go on with a list only after a plural and only up to its "and": "Theorems 1.1, 2.1 and 2.2, 0.5".
    rf"\b(?:{_PLACES})(?:e?s\.?|\.)\s*{_PLACE}(?:(?:,\s*{_PLACE})*{_AND}\s*{_PLACE})?"
    rf"|(?:\b(?:{_PLACES}|{_SOFTWARE})\s+|§\s*){_PLACE}(?:{_AND}{_PLACE})?"
    r"|(?<![\d.])\d+(?:\.\d+){2,}"  # three parts: a version
    r"|\barXiv:\s*\S+"
    r"|\b10\.\d{4,}/\S+"  # a DOI
    r"|\bhttps?://\S+",
    re.IGNORECASE,
)

_WHOLE = r"\d+(?:,\d{3})*"
_VALUE = r"[-+−]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?"
_UNIT = (
    r"per\s?cent|percent|%|‰|percentage\spoints?|dB|decibels?|times|fold|standard\s(?:errors?|deviations?)"
    r"|s|ms|µs|μs|us|ns|seconds?|milliseconds?|microseconds?|minutes?|min|hours?"
    r"|[kKMGT]i?B|bytes|[kMG]?Hz|[MGT]?FLOPS?"
    r"|[x×](?!\s*\d)"  # "3x faster" is a result, "3 x 3" a size
)
# A number, not part of a word or of a longer number.
_BEFORE, _AFTER = r"(?<![\w.\-/^])(?<!\d,)", r"(?!\w|[.,]\d)"
_RESULTS = re.compile(
    rf"{_BEFORE}{_VALUE}\s*(?:±|\+/-|\+-)\s*{_VALUE}(?:[\s-]*(?:{_UNIT}))?{_AFTER}"
    rf"|{_BEFORE}{_VALUE}[\s-]*(?:{_UNIT})(?!\w)"
    rf"|{_BEFORE}{_WHOLE}\s+(?:out\s+)?of\s+(?:the\s+)?{_WHOLE}{_AFTER}"
    rf"|{_BEFORE}\d+\s*/\s*\d{{2,}}{_AFTER}"
    rf"|{_BEFORE}[-+−]?(?:{_WHOLE})?\.\d+(?:e[-+]?\d+)?"
    rf"|{_BEFORE}[-+−]?\d+e[-+]?\d+"
)
# In mathematics integers and fractions define things; a decimal, a percentage or a number with a unit counts
# as measured until a person has said why it is not.
_MATH_UNIT = r"\\(?:mathrm|text|textrm|operatorname)\{\s*~?\s*(?:dB|m?s|min|times|[kMG]B|per\s?cent)\s*\}"
_MATH = re.compile(
    rf"(?<![\d.])\d+(?:\.\d+)?\s*(?:\\[,;: ]|~)*\s*(?:\\%|{_MATH_UNIT})|(?<![\d.])(?:{_WHOLE})?\.\d+"
)


def numbers(text: str) -> list[str]:
    """Return the result-like numbers of a piece of prose, in order, with their units.

    These are decimals, percentages, numbers with a unit or in scientific notation, "24 of 30", "24/30" and
    "3 ± 1". Plain integers are not, nor are numbers that are names: "Theorem 1.2", "Python 3.11", "1.0.4".
    """
    # A mark in place of a name keeps its neighbours apart.
    return [" ".join(found.split()) for found in _RESULTS.findall(_NAMES.sub("\N{MIDDLE DOT}", text))]


def math_numbers(text: str) -> list[str]:
    return [" ".join(found.split()) for found in _MATH.findall(text)]


def problems(root: Path) -> list[str]:
    """Say which measured numbers in the book's prose are typed rather than bound.

    Read are the Markdown cells, captions and alt texts of ``notebooks/`` and the Markdown pages of ``book/``.
    Also reported: references to values that no page publishes, published values that no prose uses, entries
    of the allow-list that are not needed or have no reason.
    """
    allowed, found = _allowed(root)
    needed: set[tuple[str, str]] = set()
    files = sorted((root / "book").glob("*.ipynb"))
    pages = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in files}
    values = {name: values_of(page) for name, page in pages.items()}
    used: set[tuple[str, str]] = set()
    for file, place, page, piece in _everything(root):
        where = f"{file} {place}"
        if piece.kind == "glue":
            problem = _reference(piece.text, page, values, used)
            found += [f"{where}: {problem}"] if problem else []
            continue
        search = math_numbers if piece.kind == "math" else numbers
        for literal in search(piece.text):
            if piece.kind == "alt":
                found.append(f"{where}: the alt text holds the number {literal!r}; it must describe shape")
            elif (file, literal) in allowed:
                needed.add((file, literal))
            else:
                remedy = f"bind it with {{glue:text}}, or allow it with a reason in {ALLOWED}"
                found.append(f"{where}: {literal!r} is typed; {remedy}")
    unneeded = sorted(allowed - needed)
    found += [f"{ALLOWED}: {file}: {literal!r} is not in its prose" for file, literal in unneeded]
    # The ends of a value's interval say how well it is known, also where the prose has no room for them.
    for name, held in values.items():
        # Nor need a claim's numbers be used, or what a stored run published.
        claims = {claim["id"] for claim in claims_of(pages[name])}
        free = (_STORED, *(f"{claim}." for claim in claims))
        found += [
            f"book/{name}: publishes {key!r}, which no prose uses"
            for key in sorted(held.keys() - claims)
            if not key.startswith(free) and not {(name, key), (name, _ENDS.sub("", key))} & used
        ]
    return found


def _reference(
    text: str, page: str, values: Mapping[str, Mapping[str, Any]], used: set[tuple[str, str]]
) -> str | None:
    """Return what is wrong with the content of a glue role on a page, and note what it uses."""
    reference = _REFERENCE.fullmatch(text.strip())
    if reference is None:
        return f"{text!r} is not a reference to a value; it must be key:format or page.ipynb::key:format"
    target, key, form = reference["page"] or page, reference["key"], reference["format"] or ""
    if not target.endswith(".ipynb"):
        return f"{text!r} must name the page that publishes the value, as in 01_page.ipynb::key:format"
    if target not in values:
        return f"{text!r} is taken from book/{target}, which does not exist: make execute writes it"
    if key not in values[target]:
        return f"{text!r} is taken from book/{target}, which publishes no {key!r}"
    used.add((target, key))
    value = values[target][key]
    try:
        written = format(value, form)
    except ValueError:
        return f"{text!r} has the format {form!r}, which does not fit the value {value!r}"
    if _ZERO_WITH_SIGN.fullmatch(written):
        return f"{text!r} is written {written!r}; put a z before the format's point: it drops the sign"
    return None


def _everything(root: Path) -> Iterator[tuple[str, str, str, Piece]]:
    """Yield all that the book says in prose: file, place there, page that shows it, and the piece."""
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        file = path.relative_to(root).as_posix()
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
            for piece in _of_cell(cell):
                yield file, f"cell {number}", path.name, piece
    for path in sorted((root / "book").rglob("*.md")):
        relative = path.relative_to(root)
        if not any(part.startswith(("_", ".")) for part in relative.parts):
            for piece in pieces(path.read_text(encoding="utf-8")):
                yield relative.as_posix(), f"line {piece.line}", path.name, piece


def _of_cell(cell: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield what a Markdown cell says, or the caption and the alt text of a figure's cell."""
    if cell["cell_type"] == "markdown":
        yield from pieces("".join(cell["source"]))
    mystnb = cell.get("metadata", {}).get("mystnb", {})
    yield from pieces(str((mystnb.get("figure") or {}).get("caption") or ""))
    yield Piece("alt", str((mystnb.get("image") or {}).get("alt") or ""), 1)


def _allowed(root: Path) -> tuple[set[tuple[str, str]], list[str]]:
    path = root / ALLOWED
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except yaml.YAMLError as error:
        return set(), [f"{ALLOWED}: not YAML: {' '.join(str(error).split())}"]
    if not isinstance(listed or {}, dict):
        return set(), [f"{ALLOWED}: must map each file to its literals, each with a reason"]
    allowed: set[tuple[str, str]] = set()
    found: list[str] = []
    for file, entries in (listed or {}).items():
        if not (root / str(file)).is_file():
            found.append(f"{ALLOWED}: {file} does not exist")
        elif not isinstance(entries, dict):
            found.append(f"{ALLOWED}: {file} must map literals to reasons")
        else:
            for literal, reason in entries.items():
                if not isinstance(literal, str):
                    found.append(f"{ALLOWED}: {file}: {literal!r} must be in quotation marks")
                elif not isinstance(reason, str) or len(reason.split()) < 3:
                    found.append(f"{ALLOWED}: {file}: {literal!r} needs a reason, in a sentence")
                else:
                    allowed.add((str(file), literal))
    return allowed, found
