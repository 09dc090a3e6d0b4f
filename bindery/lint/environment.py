"""Whether the files that name packages agree with one another, and with what is installed."""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import yaml
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

# The packages of the extra `book` that execute or render pages, but that no page imports.
NOT_FOR_PAGES = frozenset(
    [
        "docutils", "jupyter-book", "markdown-it-py", "myst-parser", "nbclient", "papermill", "sphinx",
        "sphinx-exercise", "sphinx-mathjax-offline", "sphinx-proof", "sphinxcontrib-bibtex", "tornado",
    ]
)  # fmt: skip

# Without it pip takes the build of torch with CUDA.
_TORCH_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"

# The marker values of this Python, and of every Python and system that the book supports.
_HERE = {**{key: str(value) for key, value in default_environment().items()}, "extra": ""}
_EVERYWHERE = [
    {**_HERE, "python_version": python.rpartition(".")[0], "python_full_version": python}
    | {"sys_platform": system.lower(), "platform_system": system, "os_name": "posix"}
    for python in ("3.11.2", "3.11.9", "3.12.9", "3.13.9")
    for system in ("Linux", "Darwin")
]


def problems(root: Path) -> list[str]:
    """Return what is wrong with the files that name packages, each in one sentence.

    The pins are exact: of all that the extras lead to, on every Python and system that the book supports, and
    of nothing else. Binder's environment is what a page needs; what is installed here is what is pinned.
    """
    pins, found = _read_pins(root / "constraints.txt")
    if found:
        return found
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run_time = [*map(Requirement, project["dependencies"])]
    extras = {name: [*map(Requirement, texts)] for name, texts in project["optional-dependencies"].items()}
    every = [*run_time, *(requirement for extra in extras.values() for requirement in extra)]
    for_pages = {_name(one) for one in [*run_time, *extras["book"]]} - NOT_FOR_PAGES
    return [
        *_declared(every, pins),
        *_reached(every, pins),
        *_installed(pins),
        *_conda(root / "environment.yml", for_pages, pins, project["requires-python"]),
    ]


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def _applies(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(dict(environment))


def _version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


def _read_pins(path: Path) -> tuple[list[Requirement], list[str]]:
    """Read the constraints, and say of each line that is not one exact, public version what it is."""
    pins, found = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        where = f"constraints.txt:{number}: {text!r}"
        try:
            pin = Requirement(text)
        except InvalidRequirement:
            found.append(f"{where} is not a requirement")
            continue
        pins.append(pin)
        if [one.operator for one in pin.specifier] != ["=="] or "*" in _version(pin):
            found.append(f"{where} must name one exact version, as in name==1.2.3")
        elif Version(_version(pin)).local:
            found.append(f"{where} must have no local label: only some builds have it")
    return pins, found


def _declared(requirements: Iterable[Requirement], pins: Iterable[Requirement]) -> Iterator[str]:
    """Yield the requirements of pyproject.toml that have no pin, or one outside their range."""
    for requirement in requirements:
        own = [pin for pin in pins if _name(pin) == _name(requirement)]
        if not own:
            yield f"pyproject.toml asks for {requirement}, which constraints.txt does not pin"
        for pin in own:
            if not requirement.specifier.contains(_version(pin), prereleases=True):
                yield f"constraints.txt pins {pin}, which pyproject.toml's {requirement} excludes"


def _reached(requirements: list[Requirement], pins: list[Requirement]) -> Iterator[str]:
    """Yield what the requirements lead to without a pin, by the installed packages, and pins of nothing."""
    unpinned: dict[str, str] = {}
    for environment in _EVERYWHERE:
        pinned = {_name(pin) for pin in pins if _applies(pin, environment)}
        where = f"Python {environment['python_version']}, {environment['platform_system']}"
        for requirement, parent in _walk(requirements, environment, pinned):
            if _name(requirement) not in pinned:
                missing = f"{requirement.name}, which constraints.txt does not pin ({where})"
                unpinned.setdefault(_name(requirement), f"{parent} asks for {missing}")
    yield from unpinned.values()
    pinned = {_name(pin) for pin in pins if _applies(pin, _HERE)}
    reached = {_name(requirement) for requirement, _ in _walk(requirements, _HERE, pinned)}
    # A package that is not installed hides what it asks for, so that nothing can be said of the rest.
    if all(_found(name)[0] for name in reached & pinned):
        for name in sorted(pinned - reached):
            yield f"constraints.txt pins {name}, which nothing in pyproject.toml leads to"


def _walk(
    requirements: Iterable[Requirement], environment: Mapping[str, str], pinned: set[str]
) -> Iterator[tuple[Requirement, str]]:
    """Yield each requirement that applies, direct and transitive, with the name of who asks for it."""
    todo = [(requirement, "pyproject.toml") for requirement in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement, parent = todo.pop()
        name = _name(requirement)
        # The torch with CUDA brings libraries in versions of its own choice, different on each system.
        if (name, frozenset(requirement.extras)) in seen or (parent == "torch" and name not in pinned):
            continue
        seen.add((name, frozenset(requirement.extras)))
        yield requirement, parent
        given = [{**environment, "extra": extra} for extra in ("", *requirement.extras)]
        todo += [(child, name) for child in _found(name)[1] if any(_applies(child, one) for one in given)]


@cache
def _found(name: str) -> tuple[str | None, list[Requirement]]:
    """Return the version of a package and what it asks for; no version where it is not installed."""
    try:
        return metadata.version(name), [*map(Requirement, metadata.requires(name) or [])]
    except metadata.PackageNotFoundError:
        return None, []


def _installed(pins: Iterable[Requirement]) -> Iterator[str]:
    for pin in pins:
        version = _found(pin.name)[0] if _applies(pin, _HERE) else None
        if version is not None and not pin.specifier.contains(version, prereleases=True):
            where = f"is installed in {sys.prefix}, where constraints.txt pins {_version(pin)}"
            yield f"{pin.name} {version} {where}: run make setup"


def _conda(path: Path, needed: set[str], pins: Iterable[Requirement], pythons: str) -> Iterator[str]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if content.get("channels", [])[:1] != ["conda-forge"]:
        yield "environment.yml must take its packages from conda-forge, as its first channel"
    entries = content["dependencies"]
    of_conda = dict(entry.partition("=")[::2] for entry in entries if isinstance(entry, str))
    if not SpecifierSet(pythons).contains(f"{of_conda.pop('python', '') or 0}.99"):
        yield f"environment.yml must name a Python within {pythons}"
    if of_conda.pop("pip", None) is None:
        yield "environment.yml lacks pip, with which everything else is installed"
    for name in of_conda:
        yield f"environment.yml takes {name} from conda, whose builders lag behind: list it under pip"
    of_pip = [line for entry in entries if isinstance(entry, dict) for line in entry.get("pip", [])]
    options = [line for line in of_pip if line.startswith("-")]
    if options != [_TORCH_INDEX]:
        yield f"environment.yml has the options {options} under pip, where it must say {_TORCH_INDEX}"
    found = [Requirement(line) for line in of_pip if not line.startswith("-")]
    listed = {_name(one): str(one.specifier) for one in found}
    for name in sorted(needed - listed.keys()):
        yield f"environment.yml lacks {name}, which a page may import"
    for name in sorted(listed.keys() - needed):
        yield f"environment.yml lists {name}, which pyproject.toml does not ask for in what a page may import"
    versions = {_name(pin): str(pin.specifier) for pin in pins if _applies(pin, _HERE)}
    for name in sorted(listed.keys() & versions.keys()):
        if listed[name] != versions[name]:
            pinned = f"constraints.txt pins {name}{versions[name]}"
            yield f"environment.yml has {name}{listed[name]}, where {pinned}"
