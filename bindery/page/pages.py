"""Making a page of a notebook and its outputs, with the same bytes every time."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import nbformat
from nbformat import NotebookNode

from bindery.page.notebooks import code_cells, tagged
from bindery.page.sources import sha256

# Raised by hand when pages executed anew would differ for a reason that lies in this package: all are
# then stale. Nothing else in it makes a page stale; the tests execute each page again, and see a difference.
FORMAT = 2

# papermill draws a random id for the cell that it injects; a page must have the same bytes every time.
INJECTED_ID = "injected-parameters"
# The same on every machine: the kernel's display name and the Python's version are not the page's business.
_METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}
_METADATA["language_info"] |= {"codemirror_mode": {"name": "ipython", "version": 3}}
_METADATA["language_info"] |= {"nbconvert_exporter": "python", "pygments_lexer": "ipython3"}


def build_page(source: NotebookNode, executed: NotebookNode, gsl: Mapping[str, Any]) -> NotebookNode:
    """Return the page: the notebook's own cells and their outputs, with nothing that differs between runs.

    The page's metadata hold ``gsl``, and the digest of its outputs. The given notebooks are not changed.
    """
    results = {cell.id: cell for cell in code_cells(executed)}
    cells = copy.deepcopy(source.cells)
    for cell in cells:
        if cell.cell_type == "code":
            _take_outputs(cell, results[cell.id])
    injected, parameters = tagged(executed, "injected-parameters"), tagged(source, "parameters")
    if injected is not None and parameters is not None:
        cell = nbformat.v4.new_code_cell(executed.cells[injected].source, id=INJECTED_ID)
        cell.metadata["tags"] = ["injected-parameters"]
        _take_outputs(cell, executed.cells[injected])
        cells.insert(parameters + 1, cell)
    # What the notebook says of itself to the site: its description.
    said = {"myst": source.metadata["myst"]} if "myst" in source.metadata else {}
    own = {**gsl, "outputs": outputs_digest(cells)}
    metadata = nbformat.from_dict({**copy.deepcopy({**_METADATA, **said}), "gsl": own})
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)


def outputs_digest(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of what a page's code cells show, and of the order in which they ran."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    shown = [[cell["id"], cell["execution_count"], cell["outputs"]] for cell in code]
    return sha256(json.dumps(shown, sort_keys=True, ensure_ascii=False).encode())


def _take_outputs(cell: NotebookNode, result: NotebookNode) -> None:
    cell.execution_count = result.execution_count
    cell.outputs = list(_coalesce(result.outputs))
    for output in cell.outputs:
        if output.output_type == "error":
            # The other lines name files of this machine.
            output.traceback = output.traceback[-1:]


def _coalesce(outputs: Sequence[NotebookNode]) -> Iterator[NotebookNode]:
    """Join the pieces that timing cut a stream into: one per stream between two other outputs."""
    run: dict[str, str] = {}
    for output in [*copy.deepcopy(list(outputs)), None]:
        if output is not None and output.output_type == "stream":
            run[output.name] = run.get(output.name, "") + output.text
            continue
        # stdout first: which of the two streams arrives earlier is a matter of timing as well.
        for name in sorted(run, key=("stdout", "stderr").index):
            yield nbformat.v4.new_output("stream", name=name, text=run[name])
        run = {}
        if output is not None:
            yield output


def differences(source: Mapping[str, Any], page: Mapping[str, Any]) -> list[str]:
    """Return where a page's cells are not its notebook's, apart from the injected parameters, in phrases."""
    ours = [cell for cell in page["cells"] if cell["id"] != INJECTED_ID]
    same = source["metadata"].get("myst") == page["metadata"].get("myst")
    found = [] if same else ["it has another description"]
    for number, (cell, twin) in enumerate(zip(source["cells"], ours, strict=False), start=1):
        for field in ("cell_type", "id", "source", "metadata"):
            if cell[field] != twin[field]:
                found.append(f"cell {number} has another {field}")
    if len(source["cells"]) != len(ours):
        found.append(f"it has {len(ours)} cells and the notebook {len(source['cells'])}")
    return found
