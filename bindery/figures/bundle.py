"""The figures of an executed page: read, checked, and written out as files that a reader can download."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bindery.emit import text_of
from bindery.figures.encoding import BUNDLE_MIME, Bundle, decode_csv, decode_npz

SVG_MIME = "image/svg+xml"


@dataclass(frozen=True)
class PageFigure:
    """One figure of a page."""

    bundle: Bundle
    svg: str
    caption: str
    alt: str
    label: str


def _metadata(cell: Mapping[str, Any]) -> tuple[str, str, str]:
    mystnb = cell.get("metadata", {}).get("mystnb", {})
    figure, image = mystnb.get("figure") or {}, mystnb.get("image") or {}
    caption, alt, label = figure.get("caption"), image.get("alt"), figure.get("name")
    return str(caption or "").strip(), str(alt or "").strip(), str(label or "").strip()


def _pictures(page: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Yield the number of each cell that shows a picture, the cell, and the data of its pictures."""
    for number, cell in enumerate(page["cells"], start=1):
        outputs = [output.get("data", {}) for output in cell.get("outputs", [])]
        shown = [data for data in outputs if any(mime.startswith("image/") for mime in data)]
        if shown:
            yield number, cell, shown


def read(page: Path | Mapping[str, Any]) -> list[PageFigure]:
    notebook = json.loads(page.read_text(encoding="utf-8")) if isinstance(page, Path) else page
    return [
        PageFigure(Bundle.from_json(text_of(data[BUNDLE_MIME])), text_of(data[SVG_MIME]), *_metadata(cell))
        for _, cell, shown in _pictures(notebook)
        for data in shown
        if BUNDLE_MIME in data and SVG_MIME in data
    ]


def extract(page: Path, out_dir: Path) -> list[Path]:
    """Write the files of each figure of a page to ``<out_dir>/<page stem>/``; return their sorted paths."""
    folder = out_dir / page.stem
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    files: dict[Path, bytes] = {}
    for figure in read(page):
        bundle = figure.bundle
        numbers_name, content = bundle.file()
        description = {name: getattr(bundle, name) for name in ("name", "profile", "seeds", "columns")}
        description |= {"chapter": page.stem, "data": numbers_name, "page_sha256": digest}
        description |= {"caption": figure.caption, "alt": figure.alt}
        text = json.dumps(description, indent=1, sort_keys=True) + "\n"
        files[folder / f"{bundle.name}.svg"] = figure.svg.encode()
        files[folder / numbers_name] = content
        files[folder / f"{bundle.name}.json"] = text.encode()
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_bytes(content)
    return sorted(files)


def problems(root: Path) -> list[str]:
    found: list[str] = []
    owners: dict[str, str] = {}
    for path in sorted((root / "book").glob("*.ipynb")):
        page = json.loads(path.read_text(encoding="utf-8"))
        for number, cell, shown in _pictures(page):
            place = f"{path.relative_to(root).as_posix()} cell {number}"
            if len(shown) > 1:
                found.append(f"{place}: shows {len(shown)} pictures; a cell's caption is for one")
            for data in shown:
                found += [f"{place}: {problem}" for problem in _of_picture(cell, data, owners, place)]
    return found


def _of_picture(
    cell: Mapping[str, Any], data: Mapping[str, Any], owners: dict[str, str], place: str
) -> Iterator[str]:
    """Yield what is wrong with one picture, and note where its name is taken."""
    mimes = sorted(mime for mime in data if mime.startswith("image/"))
    if mimes != [SVG_MIME] or BUNDLE_MIME not in data:
        yield f"shows {' and '.join(mimes)} without its numbers; show every figure by page.figure"
        return
    try:
        bundle = Bundle.from_json(text_of(data[BUNDLE_MIME]))
        columns = decode_csv(bundle.csv) if bundle.csv is not None else decode_npz(bundle.npz or "")
    except ValueError as error:
        yield f"the figure's bundle cannot be read: {error}"
        return
    where = f"the figure {bundle.name!r}"
    if (owner := owners.setdefault(bundle.name, place)) != place:
        yield f"{where} has the name of the one in {owner}"
    if tuple(columns) != bundle.columns:
        yield f"{where} holds {list(columns)}, but its bundle says {list(bundle.columns)}"
    caption, alt, label = _metadata(cell)
    fields = {"caption": "figure.caption", "alt text": "image.alt", "label": "figure.name"}
    for (what, field), said in zip(fields.items(), (caption, alt, label), strict=True):
        if not said:
            yield f"{where} has no {what} (metadata mystnb.{field})"
    if label and label != bundle.name:
        yield f"{where} has the label {label!r}; the two must be the same"
