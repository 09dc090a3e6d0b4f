"""One notebook in a process of its own: ``python -m bindery.page.worker job.json outcome.json``.

The process exists so that a notebook that runs out of memory takes no other with it, so that each kernel has
the environment that the book prescribes, and so that the kernel's memory and processor time can be read.
"""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from bindery.page.arithmetic import applied
from bindery.page.notebooks import tagged

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TRACEBACK_LINES = 12
# On Linux ru_maxrss counts KiB, on macOS bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main(job_file: str, outcome_file: str) -> None:
    """Execute the notebook of a job and write down what became of it, a failure of a cell too."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    variables = applied(job["environment"])
    os.environ.clear()
    os.environ.update(variables)
    begun = time.perf_counter()
    executed, failure = _execute(nbformat.v4.reads(job["notebook"]), job["parameters"], job["folder"])
    # Of the process that this one waited for: the kernel.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = {
        "notebook": nbformat.v4.writes(executed) if executed is not None else None,
        "failure": failure,
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * _RSS_UNIT,
    }
    Path(outcome_file).write_text(json.dumps(outcome), encoding="utf-8")


def _execute(notebook: Any, parameters: dict[str, Any], folder: str) -> tuple[Any, str | None]:
    begun = [0]
    options = {"kernel_name": "python3", "language": "python", "progress_bar": False, "cwd": folder}
    options["on_cell_start"] = lambda cell_index, **_: begun.append(cell_index)
    options["on_cell_executed"] = lambda cell_index, **_: print(cell_index, flush=True)
    try:
        executed = papermill.execute_notebook(notebook, None, parameters=parameters, **options)
    except PapermillExecutionError as error:
        lines = _COLOURS.sub("", "\n".join(error.traceback)).splitlines()
        what = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
        return None, _failure(notebook, error.cell_index, _COLOURS.sub("", what), lines[-_TRACEBACK_LINES:])
    except DeadKernelError:
        return None, _failure(notebook, begun[-1], "the kernel died; it may have run out of memory", [])
    return executed, None


def _failure(notebook: Any, index: int, error: str, traceback: list[str]) -> str:
    """Say what failed where; cells are counted from 1, without the injected parameters."""
    parameters = tagged(notebook, "parameters")
    position = index - (parameters is not None and index > parameters)
    line = next(filter(str.strip, notebook.cells[position].source.splitlines()), "")
    return "\n    ".join([f"cell {position + 1} `{line}`: {error}", *traceback])


if __name__ == "__main__":
    main(*sys.argv[1:])
