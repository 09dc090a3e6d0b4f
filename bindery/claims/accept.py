"""Accepting a verdict: an explicit edit of the claim's record, with a reason and a line in the changelog.

The record is edited as text, at the exact places of the two values, and read again before it is written: a
YAML library that writes whole files would reflow what people wrote, for a change of two words.
"""

import argparse
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

from bindery.claims.ledger import collect
from bindery.claims.records import read
from bindery.emit import one_line
from bindery.root import BookError, replace, require_root

_SECTION = "### Verdicts"


def accept(root: Path, claim_id: str, reason: str) -> str:
    claim = read(root).known(claim_id)
    try:
        reason = one_line("reason", reason).strip()
    except ValueError as error:
        raise BookError(f"{error}: say why the verdict of {claim_id} is right") from None
    verdict, old = collect(root).entry(claim_id).deciding, claim.accepted["verdict"]
    said = f"the verdict of {claim_id} is {verdict.word!r}"
    if verdict.word == "void":
        raise BookError(f"the verdict of {claim_id} is void and cannot be accepted: {verdict.reasons[0]}")
    if verdict.word == old:
        raise BookError(f"{said}, as accepted already: {claim.accepted['reason']}")
    file, changelog = root / claim.file, root / "CHANGELOG.md"
    news = f"- `{claim_id}`: {old} → {verdict.word} ({verdict.profile or 'no'} profile). {reason}"
    line = textwrap.fill(news, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    record = edited_record(file.read_text(encoding="utf-8"), claim_id, verdict.word, reason)
    told = edited_changelog(changelog.read_text(encoding="utf-8") if changelog.is_file() else "", line)
    replace(changelog, told)
    replace(file, record)
    return f"{claim.file}: {claim_id} is accepted as {verdict.word!r} (it was {old!r}); CHANGELOG.md says so"


def edited_record(text: str, claim_id: str, verdict: str, reason: str) -> str:
    """Return the text of a file of claims with one claim's accepted verdict and reason replaced."""
    # The pure Python parser: the compiled one counts bytes where this needs characters.
    document: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    wanted = yaml.safe_load(text)
    claims = dict(zip((claim["id"] for claim in wanted["claims"]), wanted["claims"], strict=True))
    if claim_id not in claims:
        raise BookError(f"there is no record of {claim_id} in this file")
    node = _fields(document)["claims"].value[list(claims).index(claim_id)]
    places = _fields(_fields(node)["accepted"])
    accepted = claims[claim_id]["accepted"] = {"verdict": verdict, "reason": reason}
    for name in sorted(accepted, key=lambda name: -places[name].start_mark.index):
        start, end = places[name].start_mark.index, places[name].end_mark.index
        # A folded scalar's end lies behind its line's end.
        end = start + len(text[start:end].rstrip())
        text = text[:start] + json.dumps(accepted[name], ensure_ascii=False) + text[end:]
    try:
        same = yaml.safe_load(text) == wanted
    except yaml.YAMLError:
        same = False
    if not same:
        raise BookError(f"the record of {claim_id} is laid out as this command cannot edit it; do it by hand")
    return text


def _fields(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value}


def edited_changelog(text: str, line: str) -> str:
    """Return the changelog with a line added to the verdicts of what is not released yet."""

    def find(pattern: str, start: int, end: int) -> re.Match[str] | None:
        return re.compile(pattern, re.MULTILINE).search(text, start, end)

    heading = find(r"^## (Unreleased|\[Unreleased\])\s*$", 0, len(text))
    if heading is None:
        raise BookError("CHANGELOG.md has no heading '## Unreleased' to tell the accepted verdict under")
    following = find("^## ", heading.end(), len(text))
    end = following.start() if following else len(text)
    added = f"\n\n{_SECTION}\n\n{line}"
    if section := find(rf"^{_SECTION}\s*$", heading.end(), end):
        following = find("^#", section.end(), end)
        end = following.start() if following else end
        added = f"\n{line}" if text[section.end() : end].strip() else f"\n\n{line}"
    kept = text[:end].rstrip()
    return (kept + added + text[len(kept) :]).rstrip("\n") + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the claim's id, such as cs-noise")
    parser.add_argument("--reason", required=True, help="why the verdict is right, in one line")


def run(args: argparse.Namespace) -> int:
    print(accept(require_root(), args.id, args.reason))
    return 0
