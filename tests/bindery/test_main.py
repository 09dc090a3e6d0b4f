import subprocess
import sys

import pytest

from bindery.__main__ import COMMANDS, main


def test_help_names_every_command_and_imports_none_of_them():
    script = (
        "import sys, contextlib\n"
        "from bindery.__main__ import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        "slow = {'torch', 'numpy', 'nbformat', 'papermill', 'matplotlib', 'sphinx'} & set(sys.modules)\n"
        "print('slow:', sorted(slow))\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert all(f"\n    {name}" in shown for name in COMMANDS)
    assert "slow: []" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert f"bindery {name}" in shown
    assert COMMANDS[name][1][:20].lower() in shown.lower()


@pytest.mark.parametrize("words", [[], ["unknown"], ["execute", "--unknown"]])
def test_a_wrong_command_line_is_refused(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_outside_of_the_book_a_command_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_an_interrupted_command_says_so(toy, monkeypatch, capsys):
    def interrupted(_root):
        raise KeyboardInterrupt

    monkeypatch.chdir(toy.root)
    monkeypatch.setattr("bindery.page.dependencies.problems", interrupted)
    assert main(["status"]) == 130
    assert capsys.readouterr().err == "stopped\n"
