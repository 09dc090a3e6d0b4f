import pytest

from bindery.root import BookError, find_root, replace, require_root


def test_root_is_looked_for_from_the_working_directory_up(toy, monkeypatch, tmp_path):
    for folder in (toy.root, toy.root / "notebooks"):
        monkeypatch.chdir(folder)
        assert find_root() == require_root() == toy.root
    monkeypatch.chdir(tmp_path)
    assert find_root() is None


def test_half_of_a_book_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_toc.yml").touch()
    assert find_root() is None
    (tmp_path / "claims").mkdir()
    assert find_root() == tmp_path


def test_outside_of_the_book_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BookError, match=f"{tmp_path.resolve()} is not inside the book") as caught:
        require_root()
    assert "\n" not in str(caught.value)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "deep/file.txt"
    replace(target, "first\n")
    replace(target, b"old\r\n")

    def torn(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.replace", torn)
    with pytest.raises(OSError, match="no space"):
        replace(target, "new")
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]
    assert target.read_bytes() == b"old\r\n"
