"""The history of a record is append-only: every entry that an ancestor commit held is still there."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# A claim's id, and of one entry of its history the date, what changed and why.
Entry = tuple[str, str, str, str]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def entries(text: str) -> set[Entry]:
    """Return the entries of every history in a file of claims; line breaks in them do not count.

    >>> entries("claims: [{id: a, history: [{date: 2030-01-01, change: b, why: c}]}]")
    {('a', '2030-01-01', 'b', 'c')}
    """
    return {
        (str(claim["id"]), *(_line(change[name]) for name in ("date", "change", "why")))  # type: ignore[misc]
        for claim in records(text)
        for change in claim.get("history") or []
    }


def records(text: str) -> list[dict[str, Any]]:
    """Return the records in a file of claims; one that is not YAML never held a record."""
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError:
        return []
    claims = content.get("claims") if isinstance(content, dict) else None
    return [claim for claim in claims or [] if isinstance(claim, dict) and "id" in claim]


def _line(field: object) -> str:
    return " ".join(str(field).split())


def unknown(root: Path) -> str:
    """Say why the past of a book cannot be looked at; nothing where it can."""
    try:
        shallow = git(root, "rev-parse", "--is-shallow-repository").strip()
    except (OSError, subprocess.CalledProcessError):
        return "there is no git repository here"
    return "this clone is shallow: fetch its whole history" if shallow == "true" else ""


def lost(root: Path) -> list[Entry]:
    """Return the entries that some commit before held and that no file of claims holds any more."""
    files = sorted((root / "claims").glob("*.yml"))
    now = set().union(*(entries(file.read_text(encoding="utf-8")) for file in files))
    return sorted(set().union(*map(entries, _versions(root))) - now)


def _versions(root: Path) -> Iterator[str]:
    """Yield each content that a file of claims ever had, once."""
    log = git(root, "log", "--raw", "--no-abbrev", "--format=", "--", "claims/*.yml").splitlines()
    # Of a line such as ":100644 100644 <old> <new> M<tab>claims/a.yml" the new content.
    blobs = dict.fromkeys(line.split()[3] for line in log if line.startswith(":"))
    for blob in blobs:
        if set(blob) != {"0"}:  # the file went
            yield git(root, "cat-file", "blob", blob)


def git(root: Path, *words: str) -> str:
    """Return what git says in a book's folder."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=True)
    return done.stdout.decode("utf-8", errors="replace")


def problems(root: Path) -> list[str]:
    """Say which entries of histories are gone; nothing where the past cannot be looked at."""
    if unknown(root):
        return []
    return [
        f"claims: the history of {claim} held an entry of {date} that is gone: {change} Put it back"
        for claim, date, change, _ in lost(root)
    ]
