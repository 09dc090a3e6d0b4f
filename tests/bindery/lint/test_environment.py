"""The files that name packages: each way in which they can disagree is named, and ours do not."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from nbformat.sign import NotebookNotary
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bootstrap
from bindery.lint import environment
from bindery.lint.environment import NOT_FOR_PAGES, problems
from bindery.page.notebooks import read
from bindery.page.sources import Sources
from bindery.page.syntax import parse_cell

ROOT = Path(__file__).parents[3]
OWN = {"gsl_utils", "bindery", "benchmarks", "tests"}
FILES = ("pyproject.toml", "constraints.txt", "environment.yml")


@pytest.fixture
def copy(tmp_path):
    """A copy of the three files, and a function that edits one of them and returns what is then wrong."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)

    def edited(name, old, new):
        text = (tmp_path / name).read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new, 1))
        return problems(tmp_path)

    return edited


def pin(name):
    """The line of the constraints that holds for a package here."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    (line,) = [line for line in lines if line.partition("==")[0].lower() == name.lower()]
    return line + "\n"


def test_the_files_agree():
    assert problems(ROOT) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nbval>=0.11\n", "must name one exact version"),
        ("nbval==0.*\n", "must name one exact version"),
        ("nbval\n", "must name one exact version"),
        ("nbval @ file:///tmp/nbval.whl\n", "must name one exact version"),
        ("nbval==0.11.0+cpu\n", "must have no local label"),
        ("nbval = 0.11\n", "is not a requirement"),
    ],
)
def test_a_pin_that_is_not_one_public_version_is_named(copy, line, complaint):
    (problem,) = copy("constraints.txt", pin("nbval"), line)
    assert problem.startswith("constraints.txt:")
    assert complaint in problem


def test_a_direct_requirement_without_a_pin_is_named(copy):
    found = copy("constraints.txt", pin("nbval"), "")
    assert any(line.startswith("pyproject.toml asks for nbval>=0.11") for line in found)


def test_a_pin_outside_the_range_is_named(copy):
    found = copy("pyproject.toml", '"jupyter-book>=1.0.4,<2"', '"jupyter-book>=2"')
    assert found == [
        f"constraints.txt pins {pin('jupyter-book').strip()}, which pyproject.toml's jupyter-book>=2 excludes"
    ]


def test_a_transitive_requirement_without_a_pin_is_named_with_who_asks(copy):
    (problem,) = copy("constraints.txt", pin("fastjsonschema"), "")
    assert problem.startswith("nbformat asks for fastjsonschema, which constraints.txt does not pin")


def test_what_only_another_python_or_system_needs_is_pinned_too(copy):
    aiohttp = next(
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("aiohttp")
    )
    (problem,) = copy("constraints.txt", aiohttp, "")
    assert problem.startswith("papermill asks for aiohttp")
    assert "Python 3.12" in problem
    found = copy("constraints.txt", "appnope==0.1.4", "# appnope==0.1.4")
    assert any("asks for appnope" in line and "Darwin" in line for line in found)


def test_a_pin_that_nothing_needs_is_named(copy, monkeypatch):
    # The peers of the benchmarks are seldom installed, and hide what they ask for: here they pretend to be.
    found = environment._found
    monkeypatch.setattr(environment, "_found", lambda name: (found(name)[0] or "0", found(name)[1]))
    complaint = "constraints.txt pins django, which nothing in pyproject.toml leads to"
    assert complaint in copy("constraints.txt", pin("nbval"), pin("nbval") + "django==5.2.0\n")
    assert not any("pins nbval" in line for line in copy("constraints.txt", pin("nbval"), pin("nbval")))


def test_an_installed_package_of_another_version_is_named(copy):
    (problem,) = copy("constraints.txt", pin("tabulate"), "tabulate==0.0.1\n")
    assert problem.startswith(f"tabulate {metadata.version('tabulate')} is installed in {sys.prefix}")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  - conda-forge\n", "  - defaults\n", "must take its packages from conda-forge"),
        ("  - python=3.11\n", "  - python=3.10\n", "must name a Python within >=3.11"),
        ("  - python=3.11\n", "", "must name a Python within >=3.11"),
        ("  - pip\n", "", "lacks pip"),
        ("  - pip\n", "  - pip\n  - polars=1.2\n", "takes polars from conda, whose builders lag behind"),
        ("      - scipy==1.17.1\n", "", "lacks scipy"),
        ("      - scipy==1.17.1\n", "      - scipy==1.17.1\n      - polars==1.2\n", "lists polars"),
        ("scipy==1.17.1", "scipy==1.17", "has scipy==1.17, where constraints.txt pins scipy==1.17.1"),
        ("scipy==1.17.1", "scipy>=1.17", "has scipy>=1.17, where"),
        ("scipy==1.17.1", "scipy", "has scipy, where"),
        ("torch==2.13.0", "torch==2.12.0", "has torch==2.12.0, where"),
        ("--extra-index-url", "--index-url", "where it must say --extra-index-url"),
    ],
)
def test_a_binder_environment_that_differs_is_named(copy, old, new, complaint):
    (problem,) = copy("environment.yml", old, new)
    assert problem.startswith("environment.yml ")
    assert complaint in problem


def imported(tree):
    """The top-level modules that code imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def distributions(trees):
    """The packages behind the modules that code imports, without the standard library and our own."""
    names = {name for tree in trees for name in imported(tree)} - sys.stdlib_module_names - OWN
    providers = metadata.packages_distributions()
    # A module of a package that is not installed (a peer of the benchmarks) bears its package's name.
    return {name: set(map(canonicalize_name, providers.get(name, (name,)))) for name in names}


def cells():
    """The code cells of all notebooks, as trees, for each notebook."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        yield [parse_cell(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def test_what_the_code_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ]
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    trees = [ast.parse(path.read_text()) for folder in OWN for path in (ROOT / folder).rglob("*.py")]
    trees += [tree for notebook in cells() for tree in notebook]
    undeclared = {name for name, providers in distributions(trees).items() if not providers & declared}
    # deepinv cannot be asked for: it needs a build of torchvision that has no place beside torch's CPU build.
    # The toys are the tests' own, the set-up is the repository's.
    assert undeclared - {"bootstrap", "deepinv", "toys"} == set()


def test_binder_has_what_pages_import():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines = [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]
    present = {canonicalize_name(Requirement(line).name) for line in lines if not line.startswith("-")}
    sources = Sources(ROOT)
    for notebook in cells():
        trees = list(notebook)
        # Pages import bindery, too, which makes no page stale.
        for package in ("gsl_utils", "bindery"):
            trees += [sources.tree(module) for module in sources.closure(notebook, package)]
        missing = {name for name, providers in distributions(trees).items() if not providers & present}
        # Imported only when a sweep is given a cluster's address.
        assert missing - {"distributed"} == set()


def test_no_page_imports_what_is_kept_from_binder():
    for notebook in cells():
        for providers in distributions(notebook).values():
            assert not providers & NOT_FOR_PAGES


def test_binder_reads_the_files_at_the_root():
    # repo2docker ignores environment.yml and postBuild as soon as one of these folders is there.
    assert not (ROOT / "binder").exists()
    assert not (ROOT / ".binder").exists()


def test_post_build_installs_the_package(tmp_path):
    environment = tmp_path / "environment"
    command = [sys._base_executable, "-m", "venv", "--system-site-packages", str(environment)]
    subprocess.run(command, check=True)
    # Binder has `jupyter` too.
    path = f"{environment / 'bin'}:/usr/bin:/bin:{Path(sys.executable).parent}"
    settings = {**os.environ, "PATH": path, "PIP_RETRIES": "1", "VIRTUAL_ENV": str(environment)}
    settings["JUPYTER_DATA_DIR"] = str(tmp_path / "jupyter")
    result = subprocess.run(
        [ROOT / "postBuild"], cwd=ROOT, env=settings, capture_output=True, text=True, check=False
    )
    output = result.stdout + result.stderr
    if result.returncode != 0 and bootstrap.reason_in(output):
        pytest.skip(f"postBuild needs a network to fetch the build tool: {bootstrap.reason_in(output)}")
    assert result.returncode == 0, output
    assert (ROOT / "postBuild").read_text().splitlines()[-2:] == [
        "pip install --no-deps .", "jupyter trust book/*.ipynb",
    ]  # fmt: skip
    # JupyterLab shows the figures of trusted pages only: as whoever built, with the same home, it now does.
    notary = NotebookNotary(data_dir=settings["JUPYTER_DATA_DIR"])
    pages = sorted((ROOT / "book").glob("*.ipynb"))
    assert pages
    assert all(notary.check_signature(read(page)) for page in pages)
    code = "import gsl_utils, pathlib; print(pathlib.Path(gsl_utils.__file__).parent, gsl_utils.__version__)"
    answer = subprocess.run(
        [environment / "bin" / "python", "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, version = answer.stdout.split()
    assert Path(folder).is_relative_to(environment)
    assert version == metadata.version("gsl-utils")
    tracked = subprocess.run(
        ["git", "ls-files", "gsl_utils", "bindery"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    installed = Path(folder).parent
    assert [name for name in tracked if (ROOT / name).is_file() and not (installed / name).is_file()] == []
