"""The repository as a stranger finds it: its commands exist, its files agree, and it names no machine."""

import os
import re
import stat
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.version import Version

import gsl_utils
from bindery.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
PROMISED = {"book", "test", "check", "execute", "paper", "bench", "serve", "claim", "seeds", "clean"}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

# The rules of the Citation File Format 1.2.0 for the fields that we use. Its validator, cffconvert,
# wants a jsonschema below 4: it cannot be installed beside Jupyter.
CFF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["authors", "cff-version", "message", "title"],
    "properties": {
        "abstract": {"type": "string", "minLength": 1},
        "authors": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": {"type": "string", "minLength": 1}},
            },
        },
        "cff-version": {"const": "1.2.0"},
        "date-released": {"type": "string", "format": "date"},
        "keywords": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1},
        },
        "license": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": ["MIT", "CC-BY-4.0"]},
        },
        "message": {"type": "string", "minLength": 1},
        "title": {"type": "string", "minLength": 1},
        "type": {"enum": ["software", "dataset"]},
        "version": {"type": "string", "minLength": 1},
    },
}


def tracked():
    """The files that git has or would take up, as they are on disk."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def makefile():
    return (ROOT / "Makefile").read_text()


def targets():
    """Each target of the Makefile with its recipe."""
    found = {}
    for match in re.finditer(r"^([a-z][a-z-]*):(?!=)[^\n]*\n((?:\t[^\n]*\n)*)", makefile(), re.MULTILINE):
        found[match[1]] = match[2].splitlines()
    return found


def make_words(text):
    """The targets that a text tells to make, without the variables set."""
    for line in re.findall(r"(?:^|[\s`(])make((?:[ \t]+[A-Za-z][\w-]*(?:=\S+)?)+)", text, re.MULTILINE):
        yield from (word for word in line.split() if "=" not in word)


def load(path):
    # YAML 1.1 reads the key `on` as a truth value.
    content = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in content.items()}


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


# Makefile


def test_every_promised_target_is_there_with_its_help():
    documented = set(re.findall(r"^([a-z-]+):.*## ", makefile(), re.MULTILINE))
    assert documented >= PROMISED
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile(), re.MULTILINE)[1].split())
    assert phony == set(targets())


def test_every_target_is_one_or_two_commands():
    assert {name for name, recipe in targets().items() if len(recipe) > 2} == set()


@pytest.mark.parametrize("target", sorted(PROMISED))
def test_make_accepts_every_target(target):
    command = ["make", "--dry-run", "--no-print-directory", target, "ID=cs-noise", "CHAPTER=01_classical_cs"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_commands_behind_the_targets_exist():
    called = set(re.findall(r"\$\(BOOK\) ([a-z]+)", makefile()))
    assert called <= set(COMMANDS)
    assert {"execute", "render", "check", "paper", "serve", "claim", "seeds"} <= called


def test_a_failing_stage_ends_the_tests(tmp_path):
    """With a check that fails, `make test` ends there, with -j too, and with a status that says so."""
    (tmp_path / "Makefile").write_text(makefile())
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$@" >> calls\ncase "$*" in *" check") sleep 0.3; exit 3;; esac\n')
    fake.chmod(0o755)
    command = ["make", "-j2", "test", f"PYTHON={fake}", f"VENV_PYTHON={fake}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["bootstrap.py --extras book,test,dask", "-m bindery check"]


# CI


@pytest.mark.parametrize("name", [".ci/run", "postBuild"])
def test_scripts_are_strict_bash_that_can_be_run(name):
    path = ROOT / name
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in path.read_text()
    assert path.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", path], check=True)


def run_ci(folder, **variables):
    """Run .ci/run in a folder where `make` tells what it was given."""
    tools = folder / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    for name, body in {"make": 'echo "make $* data=${GSL_DATA_DIR-none}"', "chromium": "true"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    project = folder / "project"
    (project / ".ci").mkdir(parents=True, exist_ok=True)
    (project / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text())
    environment = {"PATH": f"{tools}:/usr/bin:/bin", **variables}
    command = ["bash", str(project / ".ci" / "run")]
    return subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_ci_runs_the_tests_with_the_real_images_where_there_are_any(tmp_path):
    assert run_ci(tmp_path) == ["make test data=none"]
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert run_ci(tmp_path) == [f"make test data={tmp_path / 'shared' / 'data'}"]
    assert run_ci(tmp_path, GSL_DATA_DIR="/mine") == ["make test data=/mine"]


def test_there_is_a_workflow_for_changes_one_for_each_week_and_one_for_releases():
    triggers = {path.stem: set(load(path)["on"]) for path in WORKFLOWS}
    assert triggers == {
        "pull-request": {"pull_request", "push"},
        "weekly": {"schedule", "workflow_dispatch"},
        "release": {"push"},
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_whole(path):
    workflow = load(path)
    assert {"name", "on", "permissions", "jobs"} <= set(workflow)
    # A pipe hides a failure unless the shell is bash, which GitHub then starts with pipefail.
    assert workflow["defaults"]["run"]["shell"] == "bash"
    for name, job in workflow["jobs"].items():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job), name
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), step
            else:
                subprocess.run(["bash", "-n"], input=expressions_filled(step["run"]), text=True, check=True)


def expressions_filled(script):
    return re.sub(r"\$\{\{.*?\}\}", "value", script)


@pytest.mark.parametrize("path", [*WORKFLOWS, *DOCUMENTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_what_is_told_to_make_exists(path):
    text = path.read_text()
    if path.suffix == ".md":
        text = "\n".join(code for _, code in re.findall(r"(`+)(.+?)\1", text, re.DOTALL))
    told = set(make_words(text))
    assert told
    assert told <= set(targets())


@pytest.mark.parametrize("path", [*WORKFLOWS, *DOCUMENTS], ids=lambda path: path.name)
def test_the_commands_of_the_book_that_are_told_exist(path):
    assert set(re.findall(r"-m gsl_utils\.book ([a-z]+)", path.read_text())) <= set(COMMANDS)


def test_each_supported_python_is_tested():
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = {line.split(" :: ")[-1] for line in classifiers if re.search(r"Python :: 3\.\d+$", line)}
    (job,) = load(ROOT / ".github" / "workflows" / "pull-request.yml")["jobs"].values()
    matrix = job["strategy"]["matrix"]["include"]
    assert {entry["python"] for entry in matrix} == supported
    assert {entry["command"] for entry in matrix} == {"bash .ci/run", "make test-code"}


def test_the_weekly_run_executes_every_page_and_other_seeds():
    scripts = "\n".join(
        step.get("run", "") for step in steps(load(ROOT / ".github" / "workflows" / "weekly.yml"))
    )
    for command in ("bash .ci/run", "make seeds", "-m bindery execute --all", "make check"):
        assert command in scripts


def test_a_release_publishes_the_site_and_the_ledger():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    for part in (
        "deploy-pages",
        "path: _build/html\n",
        "_build/html/claims.json",
        "BOOK_REPOSITORY:",
        "bash .ci/run",
    ):
        assert part in text


def test_the_notes_of_a_release_are_its_part_of_the_changelog(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text(
        "# C\n\n## [Unreleased]\n\n- c\n\n## [1.1.0] - 2030-01-01\n\n- b\n\n## [1.0.0]\n\n- a\n"
    )
    (step,) = [
        step
        for step in steps(load(ROOT / ".github" / "workflows" / "release.yml"))
        if "gh release" in step.get("run", "")
    ]
    script = 'gh() { echo "$@"; }\n' + step["run"]
    environment = {"PATH": os.environ["PATH"], "GITHUB_REF_NAME": "v1.1.0"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("release create v1.1.0 claims.json")
    assert (tmp_path / "notes.md").read_text().split() == ["-", "b"]


def test_a_tag_of_another_version_is_refused():
    (step,) = [
        step
        for step in steps(load(ROOT / ".github" / "workflows" / "release.yml"))
        if "tag is" in step.get("name", "")
    ]
    for tag, status in ((f"v{gsl_utils.__version__}", 0), ("v0.0.0", 1)):
        environment = {"PATH": os.environ["PATH"], "GITHUB_REF_NAME": tag}
        result = subprocess.run(["bash", "-c", step["run"]], cwd=ROOT, env=environment, check=False)
        assert result.returncode == status


# What is said of the book


def citation():
    # Dates stay text, as the schema wants them.
    return yaml.load((ROOT / "CITATION.cff").read_text(), Loader=yaml.BaseLoader)


def test_the_citation_is_valid():
    checker = jsonschema.FormatChecker()
    jsonschema.validate(citation(), CFF, format_checker=checker)
    for name, wrong in (("doi", "10.1/x"), ("authors", []), ("license", ["GPL"]), ("date-released", "soon")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**citation(), name: wrong}, CFF, format_checker=checker)


def releases():
    """The versions of the changelog with their dates, newest first."""
    found = re.findall(
        r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    return [(Version(version), date.fromisoformat(day)) for version, day in found]


def test_the_version_is_the_same_everywhere():
    version = Version(gsl_utils.__version__)
    assert citation()["version"] == gsl_utils.__version__
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]
    assert all(released <= version for released, _ in releases())
    released = dict(releases()).get(version)
    assert citation().get("date-released") == (released and released.isoformat())


def test_the_changelog_keeps_its_form():
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    assert len(headings) == 1 + len(releases())
    assert [version for version, _ in releases()] == sorted(
        (version for version, _ in releases()), reverse=True
    )
    kinds = {line for line in lines if line.startswith("### ")}
    assert kinds <= {
        f"### {kind}"
        for kind in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Verdicts")
    }


def test_both_licences_are_there_in_full():
    code, text = (ROOT / "LICENSE").read_text(), (ROOT / "LICENSE-TEXT").read_text()
    assert code.startswith("MIT License")
    assert "WITHOUT WARRANTY OF ANY KIND" in code
    assert "Creative Commons Attribution 4.0 International Public" in text
    for number in range(1, 9):
        assert f"\nSection {number} -- " in text
    assert "https://creativecommons.org/licenses/by/4.0/legalcode" in text


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_what_a_document_points_at_exists(path):
    text = path.read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https://")]
    named = re.findall(r"^\| (.+?) \|", text, re.MULTILINE) if path.name == "README.md" else []
    named = [name for cell in named for name in re.findall(r"`([^`]+)`", cell)]
    missing = [name for name in [*links, *named] if not (ROOT / name).exists()]
    assert missing == []


# Nothing of a machine


FORBIDDEN = {
    "this checkout": re.compile(re.escape(str(ROOT)) + r"\b"),
    "a machine's own folder": re.compile(r"(?<![\w./])/(?:root|work|workspace)/\w"),
    "a package registry": re.compile(
        r"pypi\.org|pythonhosted\.org|pytorch\.org/whl|registry\.npmjs|deb\.debian\.org|conda\.anaconda\.org"
    ),
}


def texts():
    """The text of each file that git has or would take up, but this one, which tells what is forbidden."""
    for path in tracked():
        if path != Path(__file__):
            yield path.relative_to(ROOT), path.read_bytes().decode("utf-8", errors="ignore")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what):
    found = [f"{path}: {match[0]}" for path, text in texts() for match in FORBIDDEN[what].finditer(text)]
    # Binder must be told where torch's build without CUDA is; the check of environment.yml knows it.
    told = ("environment.yml", "bindery/lint/environment.py")
    assert [line for line in found if not line.startswith(told) or "pytorch" not in line] == []


def test_only_ci_looks_beside_the_repository():
    assert {str(path) for path, text in texts() if "../shared" in text} <= {".ci/run"}


def test_importing_the_package_imports_nothing_but_itself():
    """Which is why it takes no time to speak of: benchmarks/ says how much."""
    code = (
        "import sys; before = set(sys.modules); import gsl_utils; "
        "print(sorted(name for name in set(sys.modules) - before if name not in sys.stdlib_module_names))"
    )
    words = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert words.stdout == "['gsl_utils']\n"
