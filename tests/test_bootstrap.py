"""The set-up: what it makes, when it does nothing, and what it says when it cannot go on."""

import ast
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bootstrap

SOURCE = Path(bootstrap.__file__)

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
dependencies = ["wanted"]
[project.optional-dependencies]
book = []
test = ["also"]
"""

# An editable wheel made by hand: the tests must not need the network for a build tool.
BACKEND = '''
import zipfile

METADATA = """Metadata-Version: 2.1
Name: tiny
Version: 1
Requires-Dist: wanted
Provides-Extra: book
Provides-Extra: test
Requires-Dist: also; extra == "test"
"""
WHEEL = """Wheel-Version: 1.0
Root-Is-Purelib: true
Tag: py3-none-any
"""


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel_directory + "/" + name, "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny-1.dist-info/METADATA", METADATA)
        wheel.writestr("tiny-1.dist-info/WHEEL", WHEEL)
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name


build_wheel = build_editable
'''


def make_wheel(folder, name, version):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_project(root):
    """A project with the real set-up, two tiny dependencies, and a folder of wheels in place of an index."""
    root.mkdir(exist_ok=True)
    shutil.copy(SOURCE, root)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "constraints.txt").write_text("wanted==1\nalso==1\n")
    wheels = root / "wheels"
    wheels.mkdir()
    for name in ("wanted", "also"):
        for version in ("1", "2"):
            make_wheel(wheels, name, version)
    return root


def clean_environment(settings):
    """The environment without anybody's pip settings, so that only the folder of wheels answers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, **settings}


def run(root, extras="book", prelude="", **settings):
    """Run the set-up as make does, after a prelude that stands for the machine's own state."""
    script = root / "bootstrap.py"
    command = [sys._base_executable, str(script), "--extras", extras]
    if prelude:
        code = (
            f"import runpy, sys\n{prelude}\nsys.argv = {command[1:]!r}\n"
            f"runpy.run_path({str(script)!r}, run_name='__main__')"
        )
        command = [command[0], "-c", code]
    if "PIP_INDEX_URL" not in settings:
        settings |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(root / "wheels")}
    return subprocess.run(
        command, cwd=root, env=clean_environment(settings), capture_output=True, text=True, check=False
    )


def stopped_with_one_sentence(result):
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Set-up stopped: ")
    return line


def installed(root, module):
    code = f"import {module}; print({module}.version)"
    result = subprocess.run(
        [root / ".venv" / "bin" / "python", "-c", code], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or None


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A project that is set up; a test that changes it brings it back by running the set-up."""
    root = make_project(tmp_path_factory.mktemp("ready"))
    result = run(root)
    assert result.returncode == 0, result.stdout + result.stderr
    return root


def test_a_python_from_before_the_book_can_read_the_file():
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 4))
    annotated = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns]
    assert not annotated


def test_only_the_standard_library_is_imported():
    tree = ast.parse(SOURCE.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names <= sys.stdlib_module_names


def test_the_packages_are_those_of_the_constraints(ready):
    assert installed(ready, "wanted") == "1"
    assert installed(ready, "also") is None


def test_nothing_is_done_where_nothing_changed(ready):
    site = next((ready / ".venv" / "lib").glob("python*/site-packages"))
    (site / "pip").rename(site / "pip-hidden")
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = run(ready)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        (site / "pip-hidden").rename(site / "pip")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    # Processor time, because the wall clock tells how busy the machine is.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 0.3


def test_a_changed_constraint_is_followed(ready):
    (ready / "constraints.txt").write_text("wanted==2\nalso==1\n")
    assert run(ready).returncode == 0
    assert installed(ready, "wanted") == "2"


def test_extras_are_added_to_those_already_there(ready):
    assert run(ready, "test").returncode == 0
    assert installed(ready, "also") == "1"
    stamp = json.loads((ready / ".venv" / bootstrap.STAMP).read_text())
    assert stamp["extras"] == ["book", "test"]
    assert run(ready, "book").stdout == ""


@pytest.mark.parametrize("damage", ["no interpreter", "no stamp", "torn stamp"])
def test_a_half_made_environment_is_repaired(ready, damage):
    stamp = ready / ".venv" / bootstrap.STAMP
    if damage == "no interpreter":
        (ready / ".venv" / "bin" / "python").unlink()
    elif damage == "no stamp":
        stamp.unlink()
    else:
        stamp.write_text('{"digest": "0')
    result = run(ready)
    assert result.returncode == 0, result.stdout + result.stderr
    assert installed(ready, "wanted") is not None
    assert run(ready).stdout == ""


def test_an_environment_without_pip_or_of_another_python_is_not_kept(tmp_path):
    assert not bootstrap.is_sound(str(tmp_path))
    command = [sys._base_executable, "-m", "venv", "--without-pip", str(tmp_path)]
    subprocess.run(command, check=True)
    assert not bootstrap.is_sound(str(tmp_path))
    (tmp_path / "bin" / "python").unlink()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    assert not bootstrap.is_sound(str(tmp_path))


def test_a_missing_venv_module_is_told_and_the_next_run_succeeds(tmp_path):
    root = make_project(tmp_path / "project")
    (root / ".venv").write_text("a file in the way")
    for module in ("venv", "ensurepip"):
        shadow = tmp_path / module
        shadow.mkdir()
        (shadow / f"{module}.py").write_text("raise ImportError('not packaged here')\n")
        line = stopped_with_one_sentence(run(root, PYTHONPATH=str(shadow)))
        assert "no working venv module" in line
    result = run(root)
    assert result.returncode == 0, result.stderr
    assert installed(root, "wanted") == "1"
    moved = root.rename(tmp_path / "moved")
    assert run(moved).returncode == 0
    pip = moved / ".venv" / "bin" / "pip"
    said = subprocess.run(
        [pip, "list"], env=clean_environment({}), capture_output=True, text=True, check=True
    )
    assert "wanted" in said.stdout


def test_a_python_that_is_too_old_is_told_so(tmp_path):
    root = make_project(tmp_path)
    line = stopped_with_one_sentence(run(root, prelude="sys.version_info = (3, 9, 18, 'final', 0)"))
    assert "Python 3.9 is too old" in line
    assert "Python 3.11 or newer" in line
    assert not (root / ".venv").exists()


def test_a_python_that_is_newer_than_the_tests_is_only_warned():
    assert bootstrap.check_python(bootstrap.OLDEST) is None
    assert bootstrap.check_python(bootstrap.NEWEST) is None
    warning = bootstrap.check_python((bootstrap.NEWEST[0], bootstrap.NEWEST[1] + 1))
    assert warning is not None
    assert "newer than any the book was tested on" in warning


def test_an_unreachable_index_is_told_and_the_next_run_succeeds(ready):
    (ready / "constraints.txt").write_text("wanted==1\nalso==2\n")
    assert run(ready, "test").returncode == 0
    (ready / "constraints.txt").write_text("wanted==2\nalso==2\n")
    line = stopped_with_one_sentence(run(ready, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1"))
    assert "The package index cannot be reached" in line
    assert (ready / ".venv" / bootstrap.LOG).is_file()
    assert not (ready / ".venv" / bootstrap.STAMP).exists()
    result = run(ready)
    assert result.returncode == 0, result.stderr
    assert installed(ready, "wanted") == "2"


def test_a_package_that_does_not_exist_is_not_called_a_network_problem(ready):
    (ready / "constraints.txt").write_text("wanted==3\nalso==1\n")
    line = stopped_with_one_sentence(run(ready))
    assert "pip could not install the packages" in line
    assert "ERROR: Cannot install tiny" in line
    (ready / "constraints.txt").write_text("wanted==1\nalso==1\n")
    assert run(ready).returncode == 0


def test_a_full_disk_is_called_by_its_name():
    assert "disk is full" in bootstrap.reason_in("OSError: [Errno 28] No space left on device")


def test_an_interrupted_run_says_so_and_leaves_no_stamp(tmp_path):
    root = make_project(tmp_path)
    prelude = "import subprocess\ndef stop(*_, **__): raise KeyboardInterrupt\nsubprocess.run = stop"
    result = run(root, prelude=prelude)
    assert result.returncode == 130
    assert "Traceback" not in result.stderr
    assert not (root / ".venv" / bootstrap.STAMP).exists()
