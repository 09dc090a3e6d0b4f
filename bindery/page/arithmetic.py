"""The one arithmetic of the pages, and whether this machine has it.

The libraries choose other code on other processors, with other last digits. Under these variables they choose
the same on every x86-64 processor with AVX2, and pages made there are the same to the byte. Whether that
holds is not believed but measured: ``fingerprint`` digests what the libraries compute from fixed inputs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bindery.root import BookError, replace, require_root

# A machine without these takes what its libraries choose.
VARIABLES = {
    "ATEN_CPU_CAPABILITY": "avx2",
    # MKL's products cost three to four times; its other modes promise the same bits on Intel's chips only.
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # The names that numpy 2.4 knows; it ignores older ones without a word.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
# Which arithmetic the tests run in: "book" (the default), "own", or "NAME=value;NAME=".
CHOICE = "BOOK_ARITHMETIC"
_STORED = "results/fingerprint.json"


def variables(choice: str = "book") -> dict[str, str | None]:
    """Return an arithmetic's variables, set before numpy and torch are imported, or unset if ``None``.

    The choice is ``"book"``; ``"own"`` for what the libraries choose here; or settings that differ from the
    book's, ``"NAME=value;NAME="``, of which an empty one leaves the library its choice.
    """
    chosen: dict[str, str | None] = dict.fromkeys(VARIABLES)
    if choice == "own" or not _has_avx2():
        return chosen
    chosen |= VARIABLES
    for setting in choice.split(";") if choice != "book" else ():
        name, equals, value = setting.partition("=")
        if name not in VARIABLES or not equals:
            must = f"it must be book, own, or settings of {', '.join(VARIABLES)}"
            example = "MKL_CBWR=;ATEN_CPU_CAPABILITY=default"
            raise BookError(f"{CHOICE} holds {setting!r}; {must} as in {example}")
        chosen[name] = value or None
    return chosen


def wished(environment: Mapping[str, str]) -> str:
    """Return the arithmetic that whoever started this process, in this environment, wishes for its tests.

    One of ``VARIABLES`` that is set there, were it to nothing, takes the place of the book's value.
    """
    if CHOICE in environment:
        return environment[CHOICE]
    others = (name for name, value in VARIABLES.items() if environment.get(name, value) != value)
    return ";".join(f"{name}={environment[name]}" for name in others) or "book"


def _has_avx2() -> bool:
    """Whether the book's variables mean something here: elsewhere the libraries warn of them, or fail."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not sys.platform.startswith("linux"):
        return False
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text(encoding="utf-8").replace("\n", " ")
    except OSError:
        return False


def applied(environment: Mapping[str, str | None]) -> dict[str, str]:
    """Return this process's variables with some of them set, or removed where the value is ``None``."""
    return {name: value for name, value in {**os.environ, **environment}.items() if value is not None}


def fingerprint(environment: Mapping[str, str | None]) -> dict[str, str]:
    """Return what the libraries compute in an environment, part to digest, in a process of its own."""
    words = [sys.executable, "-P", "-m", "bindery.page.fingerprint"]
    done = subprocess.run(words, env=applied(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BookError(f"the fingerprint cannot be taken: {done.stderr.strip()[-300:]}")
    return dict(json.loads(done.stdout))


def stored(root: Path) -> dict[str, str]:
    """Return the fingerprint of the arithmetic that the pages were made in; empty where none is stored."""
    file = root / _STORED
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
    except ValueError as error:
        raise BookError(f"{_STORED} is torn ({error}): bring it back (git checkout -- {_STORED})") from None


def differing(root: Path, environment: Mapping[str, str | None]) -> list[str]:
    then, now = stored(root), fingerprint(environment)
    return sorted(part for part in then.keys() | now.keys() if then.get(part) != now.get(part))


def sentence(parts: list[str]) -> str:
    if not parts:
        return "the fingerprint is the book's: pages must have the same bytes"
    return f"elsewhere, by the fingerprint of {', '.join(parts)}: numbers must agree to their tolerance"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", action="store_true", help="take this machine's as that of the pages")


def run(args: argparse.Namespace) -> int:
    # Here, because the environment of the kernels is made of this module's variables.
    from bindery.page.kernels import environment

    root = require_root()
    if args.store:
        found = fingerprint(environment(root))
        replace(root / _STORED, json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(sentence(differing(root, environment(root))))
    return 0
