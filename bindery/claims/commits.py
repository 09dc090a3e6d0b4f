"""Which commit wrote a claim's criterion, and which its first value: read from git, kept nowhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bindery.claims.history import git, records, unknown

# The id in what a page records, with the quotation marks as they stand inside of JSON inside of JSON.
_ID = re.compile(r'\\"id\\": \\"([a-z0-9-]+)\\"')


@dataclass(frozen=True)
class Commits:
    """The short names of two commits, empty where they are not known.

    Args:
        criterion: The last that changed the claim's criterion.
        value: The first whose page recorded a value.
    """

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
        for record in records(text):
            said = str(record.get("criterion"))
            if criteria.get(record["id"], ("", ""))[1] != said:
                criteria[record["id"]] = commit, said
    values: dict[str, str] = {}
    for commit, text in _contents(root, "book/*.ipynb"):
        for claim in _ID.findall(text):
            values.setdefault(claim, commit)
    known = dict.fromkeys([*criteria, *values])
    return {claim: Commits(criteria.get(claim, ("", ""))[0], values.get(claim, "")) for claim in known}


def _contents(root: Path, files: str) -> Iterator[tuple[str, str]]:
    """Yield each content that some files ever had, the oldest first, with the short name of its commit."""
    commit = ""
    log = git(root, "log", "--reverse", "--raw", "--no-abbrev", "--format=%h", "--", files)
    for line in filter(None, log.splitlines()):
        if not line.startswith(":"):
            commit = line[:9]
        elif set(blob := line.split()[3]) != {"0"}:
            yield commit, git(root, "cat-file", "blob", blob)
