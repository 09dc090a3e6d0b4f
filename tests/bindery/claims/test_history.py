"""Histories of claims are append-only: an entry that was ever committed and is gone is named."""

import subprocess

import pytest

from bindery.claims import history
from bindery.claims.history import entries, lost, problems, unknown

FIRST = "      - {date: 2030-01-01, change: The first., why: It was wrong.}\n"
SECOND = "      - {date: 2030-01-02, change: The second., why: So was that.}\n"


def git(root, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def book(toy):
    """A toy book in a repository, and a function that commits a claim with some history."""
    git(toy.root, "init", "-q")

    def commit(text):
        (toy.root / "claims/a.yml").write_text(text)
        git(toy.root, "add", "claims")
        git(toy.root, "commit", "-q", "-m", "x")

    toy.commit = commit
    return toy


def record(*changes):
    return "claims:\n  - id: a\n    history:\n" + "".join(changes)


def test_what_is_added_loses_nothing(book):
    book.commit(record(FIRST))
    book.commit(record(FIRST, SECOND))
    # Order, line breaks and the file that holds it do not count.
    (book.root / "claims/a.yml").rename(book.root / "claims/b.yml")
    (book.root / "claims/b.yml").write_text(record(SECOND, FIRST.replace("was wrong", "was\n       wrong")))
    assert lost(book.root) == problems(book.root) == []


@pytest.mark.parametrize(
    "now",
    [
        record(SECOND),
        record(FIRST.replace("The first", "The only"), SECOND),
        "claims: []\n",
        "claims:\n  - {id: b}\n",
    ],
)
def test_an_entry_that_is_gone_or_was_rewritten_is_named(book, now):
    book.commit(record(FIRST))
    book.commit(record(FIRST, SECOND))
    book.commit(now)
    assert ("a", "2030-01-01", "The first.", "It was wrong.") in lost(book.root)
    assert problems(book.root)[0] == (
        "claims: the history of a held an entry of 2030-01-01 that is gone: The first. Put it back"
    )


def test_a_file_that_went_and_one_that_was_torn_hide_nothing(book):
    book.commit(record(FIRST))
    book.commit("claims: [\n")
    (book.root / "claims/a.yml").unlink()
    git(book.root, "add", "-A")
    git(book.root, "commit", "-q", "-m", "x")
    assert len(lost(book.root)) == 1


def test_where_there_is_no_past_to_look_at_it_is_said(toy, book, tmp_path, monkeypatch):
    assert unknown(book.root) == ""
    book.commit(record(FIRST))
    book.commit("claims: []\n")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{book.root}", "shallow")
    assert unknown(tmp_path / "shallow") == "this clone is shallow: fetch its whole history"
    assert problems(tmp_path / "shallow") == []
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert unknown(book.root) == "there is no git repository here"
    assert problems(book.root) == []


def test_entries_are_read_from_anything():
    assert entries("a: 1") == entries("- 1") == entries("") == entries("claims: [") == set()


def test_no_entry_of_the_books_own_histories_is_gone(root):
    if reason := unknown(root):
        pytest.skip(reason)
    assert history.lost(root) == []
