import pytest

from bindery.root import BookError, find_root, require_root


def test_root_is_found_from_inside_and_not_from_outside(toy, tmp_path):
    assert find_root(toy.root) == toy.root
    assert find_root(str(toy.root / "book")) == toy.root
    assert find_root(tmp_path) is None


def test_root_is_looked_for_from_the_working_directory(toy, monkeypatch):
    monkeypatch.chdir(toy.root / "notebooks")
    assert find_root() == require_root() == toy.root


def test_half_of_a_book_is_none(tmp_path):
    (tmp_path / "_toc.yml").touch()
    assert find_root(tmp_path) is None
    (tmp_path / "claims").mkdir()
    assert find_root(tmp_path) == tmp_path


def test_outside_of_the_book_is_said_in_one_sentence(tmp_path):
    with pytest.raises(BookError, match=f"{tmp_path.resolve()} is not inside the book") as caught:
        require_root(tmp_path)
    assert "\n" not in str(caught.value)
