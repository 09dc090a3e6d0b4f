"""Accepting a verdict: an explicit edit of the claim's record, with a reason and a line in the changelog.

The record is edited as text, at the exact places of the two values, and read again before it is written: a
YAML library that writes whole files would reflow what people wrote, for a change of two words.
"""

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

import yaml

from bindery.claims.ledger import collect, known_claim
from bindery.claims.records import read
from bindery.emit import one_line
from bindery.root import BookError, replace, require_root

_UNRELEASED = ("## Unreleased", "## [Unreleased]")
_SECTION = "### Verdicts"


def accept(root: Path, claim_id: str, reason: str) -> str:
    """Accept the verdict that a claim has now."""
    claim = known_claim(read(root), claim_id)
    try:
        reason = one_line("reason", reason).strip()
    except ValueError as error:
        raise BookError(f"{error}: say why the verdict of {claim_id} is right") from None
    entry = next(entry for entry in collect(root).entries if entry.record.id == claim_id)
    word, old = entry.deciding.word, claim.accepted.verdict
    if word == "void":
        raise BookError(
            f"the verdict of {claim_id} is void and cannot be accepted: {entry.deciding.reasons[0]}"
        )
    if word == old:
        raise BookError(
            f"the verdict of {claim_id} is {word!r}, as accepted already: {claim.accepted.reason}"
        )
    file, changelog = root / claim.file, root / "CHANGELOG.md"
    news = f"- `{claim_id}`: {old} → {word} ({entry.deciding.profile or 'no'} profile). {reason}"
    line = textwrap.fill(news, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    record = edited_record(file.read_text(encoding="utf-8"), claim_id, word, reason)
    told = edited_changelog(changelog.read_text(encoding="utf-8") if changelog.is_file() else "", line)
    replace(changelog, told)
    replace(file, record)
    return f"{claim.file}: {claim_id} is accepted as {word!r} (it was {old!r}); CHANGELOG.md says so"


def edited_record(text: str, claim_id: str, verdict: str, reason: str) -> str:
    """Return the text of a file of claims with one claim's accepted verdict and reason replaced."""
    # The pure Python parser: the compiled one counts bytes where this needs characters.
    document: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    places = _accepted_nodes(document, claim_id)
    changes = [(places["verdict"], verdict), (places["reason"], reason)]
    wanted = yaml.safe_load(text)
    for claim in wanted["claims"]:
        if claim["id"] == claim_id:
            claim["accepted"] = {"verdict": verdict, "reason": reason}
    for node, value in sorted(changes, key=lambda change: -change[0].start_mark.index):
        start, end = node.start_mark.index, node.end_mark.index
        # A folded scalar's end lies behind its line's end.
        old = text[start:end]
        tail = old[len(old.rstrip()) :]
        text = text[:start] + json.dumps(value, ensure_ascii=False) + tail + text[end:]
    try:
        same = yaml.safe_load(text) == wanted
    except yaml.YAMLError:
        same = False
    if not same:
        raise BookError(f"the record of {claim_id} is laid out as this command cannot edit it; do it by hand")
    return text


def edited_changelog(text: str, line: str) -> str:
    """Return the changelog with a line added to the verdicts of what is not released yet.

    >>> edited_changelog("## Unreleased", "- One.").splitlines()
    ['## Unreleased', '', '### Verdicts', '', '- One.']
    """
    lines = text.splitlines()
    start = next((number for number, row in enumerate(lines) if row.strip() in _UNRELEASED), None)
    if start is None:
        raise BookError(f"CHANGELOG.md has no heading {_UNRELEASED[0]!r} to tell the accepted verdict under")
    end = next(
        (start + 1 + n for n, row in enumerate(lines[start + 1 :]) if row.startswith("## ")), len(lines)
    )
    section = next((number for number in range(start, end) if lines[number].strip() == _SECTION), None)
    added = [line]
    if section is None:
        added = ["", _SECTION, "", line]
    else:
        end = next((n for n in range(section + 1, end) if lines[n].startswith("#")), end)
        added = [line] if any(row.strip() for row in lines[section + 1 : end]) else ["", line]
    while not lines[end - 1].strip():
        end -= 1
    return "\n".join([*lines[:end], *added, *lines[end:]]).rstrip("\n") + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the ``accept`` command."""
    parser.add_argument("id", help="the claim's id, such as cs-noise")
    parser.add_argument("--reason", required=True, help="why the verdict is right, in one line")


def run(args: argparse.Namespace) -> int:
    """Accept one claim's verdict."""
    print(accept(require_root(), args.id, args.reason))
    return 0


def _accepted_nodes(document: Any, claim_id: str) -> dict[str, yaml.ScalarNode]:
    for claim in _fields(document)["claims"].value:
        fields = _fields(claim)
        if fields["id"].value == claim_id:
            return _fields(fields["accepted"])
    raise BookError(f"there is no record of {claim_id} in this file")


def _fields(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value}
