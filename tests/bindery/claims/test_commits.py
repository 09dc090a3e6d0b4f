"""The commits of criteria and first values, read from a repository of a few commits."""

import json
import subprocess

from bindery.claims.history import Commits, commits
from bindery.emit import CLAIM_MIME

RECORD = "claims:\n  - {{id: a, criterion: {criterion}, claim: {claim}}}\n"


def git(root, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root, path, text):
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x")
    return git(root, "rev-parse", "HEAD")[:9]


def page(*claims):
    outputs = [{"data": {CLAIM_MIME: json.dumps({"id": claim, "value": 1})}} for claim in claims]
    return json.dumps({"cells": [{"outputs": outputs}]})


def test_the_last_criterion_and_the_first_value(tmp_path):
    git(tmp_path, "init", "-q")
    commit(tmp_path, "claims/a.yml", RECORD.format(criterion="x > 0", claim="one"))
    second = commit(tmp_path, "claims/a.yml", RECORD.format(criterion="x > 1", claim="one"))
    # Other words of the record change no criterion.
    commit(tmp_path, "claims/a.yml", RECORD.format(criterion="x > 1", claim="two"))
    commit(tmp_path, "book/01_a.ipynb", page("b"))
    value = commit(tmp_path, "book/01_a.ipynb", page("a", "b"))
    commit(tmp_path, "book/01_a.ipynb", page("a"))
    assert commits(tmp_path)["a"] == Commits(second, value)
    later = commit(tmp_path, "claims/a.yml", RECORD.format(criterion="x > 0", claim="two"))
    assert commits(tmp_path)["a"] == Commits(later, value)


def test_without_a_past_nothing_is_said(tmp_path):
    assert commits(tmp_path) == {}
    git(tmp_path, "init", "-q")
    assert commits(tmp_path) == {}
