"""The past of the records, as git has it: their history is append-only, and a criterion has a commit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bindery.claims.yamlfile import Loader
from bindery.root import git, git_if_there

# A claim's id, and of one entry of its history the date, what changed and why.
Entry = tuple[str, str, str, str]
# The id in what a page records, with the quotation marks as they stand inside of JSON inside of JSON.
_ID = re.compile(r'\\"id\\": \\"([a-z0-9-]+)\\"')


def unknown(root: Path) -> str:
    """Say why the past of a book cannot be looked at; nothing where it can."""
    shallow = git_if_there(root, "rev-parse", "--is-shallow-repository")
    if shallow is None:
        return "there is no git repository here"
    return "this clone is shallow: fetch its whole history" if shallow.strip() == "true" else ""


def _contents(root: Path, files: str) -> Iterator[tuple[str, str]]:
    """Yield each content that some files ever had, the oldest first, with the short name of its commit."""
    commit = ""
    log = git(root, "log", "--reverse", "--raw", "--no-abbrev", "--format=%h", "--", files)
    for line in filter(None, log.splitlines()):
        if not line.startswith(":"):
            commit = line[:9]
        # Of a line such as ":100644 100644 <old> <new> M<tab>claims/a.yml" the new content, unless gone.
        elif set(blob := line.split()[3]) != {"0"}:
            yield commit, git(root, "cat-file", "blob", blob)


def _records(text: str) -> list[dict[str, Any]]:
    """Return the records in a file of claims; one that is not YAML never held a record."""
    try:
        content = yaml.load(text, Loader)
    except yaml.YAMLError:
        return []
    claims = content.get("claims") if isinstance(content, dict) else None
    return [claim for claim in claims or [] if isinstance(claim, dict) and "id" in claim]


def entries(text: str) -> set[Entry]:
    """Return the entries of every history in a file of claims; line breaks in them do not count."""
    return {
        (str(claim["id"]), *(" ".join(str(change[name]).split()) for name in ("date", "change", "why")))  # type: ignore[misc]
        for claim in _records(text)
        for change in claim.get("history") or []
    }


def lost(root: Path) -> list[Entry]:
    """Return the entries that some commit before held and that no file of claims holds any more."""
    files = sorted((root / "claims").glob("*.yml"))
    now = set().union(*(entries(file.read_text(encoding="utf-8")) for file in files))
    then = dict.fromkeys(text for _, text in _contents(root, "claims/*.yml"))
    return sorted(set().union(*map(entries, then)) - now)


def problems(root: Path) -> list[str]:
    return [
        f"claims: the history of {claim} held an entry of {date} that is gone: {change} Put it back"
        for claim, date, change, _ in ([] if unknown(root) else lost(root))
    ]


@dataclass(frozen=True)
class Commits:
    """The last commit that changed a claim's criterion, and the first whose page recorded a value."""

    criterion: str = ""
    value: str = ""


def commits(root: Path) -> dict[str, Commits]:
    """Return the commits of every claim; nothing where the past cannot be looked at.

    A criterion that came after the first value shows here, whatever its record says.
    """
    if unknown(root) or not git(root, "rev-list", "--all", "--max-count=1"):
        return {}
    criteria: dict[str, tuple[str, str]] = {}
    for commit, text in _contents(root, "claims/*.yml"):
        for record in _records(text):
            said = str(record.get("criterion"))
            if criteria.get(record["id"], ("", ""))[1] != said:
                criteria[record["id"]] = commit, said
    values: dict[str, str] = {}
    for commit, text in _contents(root, "book/*.ipynb"):
        for claim in _ID.findall(text):
            values.setdefault(claim, commit)
    known = dict.fromkeys([*criteria, *values])
    return {claim: Commits(criteria.get(claim, ("", ""))[0], values.get(claim, "")) for claim in known}
