"""The repository's address is found in one place, or there is none."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindery.root import BookError
from bindery.site.repository import binder_url, buttons, find_address, normalise


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/someone/book",
        "https://github.com/someone/book.git",
        "https://github.com/someone/book/",
        "http://github.com/someone/book.git",
        "git@github.com:someone/book.git",
        "ssh://git@github.com/someone/book.git",
        "ssh://git@github.com:22/someone/book.git",
        "https://someone:secret@github.com/someone/book.git",
        "https://token@github.com/someone/book",
    ],
)
def test_every_form_of_a_public_remote_gives_one_address(remote):
    assert normalise(remote) == "https://github.com/someone/book"


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/book.git",
        "../book",
        "file:///srv/git/book.git",
        "book.git",
        "git@buildhost:someone/book.git",
        "https://localhost/someone/book",
        "https://10.0.0.7/someone/book",
        "https://git.internal/someone/book",
        "https://github.com/",
        "https://github.com/someone",
        "C:\\books\\book",
        "git://github.com/someone/book",
    ],
)
def test_what_is_no_public_address_gives_none(remote):
    assert normalise(remote) is None


def test_a_port_of_a_web_address_is_kept():
    assert normalise("https://git.example.org:8443/a/b.git") == "https://git.example.org:8443/a/b"


@given(st.text(max_size=60))
def test_any_text_gives_an_https_address_or_none(text):
    address = normalise(text)
    assert address is None or (address.startswith("https://") and "@" not in address.split("/")[2])


def _git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_the_variable_comes_before_the_remote_and_the_remote_is_used_without_it(tmp_path):
    assert find_address(tmp_path, {}) is None
    _git(tmp_path, "init", "-q")
    assert find_address(tmp_path, {}) is None
    _git(tmp_path, "remote", "add", "origin", "git@github.com:someone/book.git")
    assert find_address(tmp_path, {}) == "https://github.com/someone/book"
    variables = {"BOOK_REPOSITORY": "https://gitlab.com/others/book"}
    assert find_address(tmp_path, variables) == "https://gitlab.com/others/book"


def test_a_folder_inside_another_repository_does_not_take_its_address(tmp_path):
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "remote", "add", "origin", "https://github.com/someone/else")
    (tmp_path / "copy").mkdir()
    assert find_address(tmp_path / "copy", {}) is None


def test_a_malformed_variable_is_refused(tmp_path):
    with pytest.raises(BookError, match="BOOK_REPOSITORY is 'nowhere'; it must be the public address"):
        find_address(tmp_path, {"BOOK_REPOSITORY": "nowhere"})


@pytest.mark.parametrize(
    ("address", "start"),
    [
        ("https://github.com/a/b", "https://mybinder.org/v2/gh/a/b/HEAD?"),
        ("https://gitlab.com/a/c/b", "https://mybinder.org/v2/gl/a%2Fc%2Fb/HEAD?"),
        ("https://codeberg.org/a/b", "https://mybinder.org/v2/git/https%3A%2F%2Fcodeberg.org%2Fa%2Fb/HEAD?"),
    ],
)
def test_a_launch_link_opens_the_notebook(address, start):
    assert binder_url(address, "book/01_a.ipynb") == f"{start}urlpath=lab/tree/book/01_a.ipynb"


def test_a_launch_link_to_a_text_file_is_refused():
    with pytest.raises(ValueError, match=r"path is 'book/index\.md'; it must be a notebook"):
        binder_url("https://github.com/a/b", "book/index.md")


def test_buttons_are_absent_without_an_address_and_only_notebooks_are_launched():
    assert buttons(None, "book/01_a", ".ipynb") == []
    made = buttons("https://github.com/a/b", "book/01_a", ".ipynb")
    assert [button["label"] for button in made] == ["launch-binder", "source-repository"]
    made = buttons("https://github.com/a/b", "book/index", ".md")
    assert [button["label"] for button in made] == ["source-repository"]
