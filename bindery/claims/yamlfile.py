"""A YAML file that knows the line of every field, so that a problem can be told with its place."""

import difflib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Place = tuple[Hashable, ...]
_TYPES = {"string": "text", "object": "a mapping of fields", "array": "a list"}
_TYPES |= {"boolean": "true or false", "null": "null"}


# The compiled parser where PyYAML has one: a notebook reads every record, and should not wait for it.
class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML, and leaves dates, which need no quotes, as the text that they are."""


Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: node.value)


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong with a record, and where it is."""

    file: str
    line: int
    id: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (f"{self.file}:{self.line}", self.id, self.field, self.message)))


class YamlFile:
    """One YAML file, its data, and what is wrong with it."""

    def __init__(self, root: Path, path: Path, schema: Mapping[str, Any]) -> None:
        self.name = path.relative_to(root).as_posix()
        self.problems: list[Problem] = []
        self.data: Any = None
        self._lines: dict[Place, int] = {(): 1}
        try:
            loader = Loader(path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
            if node is not None:
                self.data = loader.construct_document(node)
                self._number(node, ())
            self._validate(schema)
        except UnicodeDecodeError as error:
            self.report((), f"is not UTF-8 text ({error.reason})")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self.report((), f"is not valid YAML: {error.problem}", line=mark.line + 1 if mark else 1)

    def line(self, place: Place) -> int:
        """Return the line of ``place``, or of the nearest thing around it that is there."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def report(self, place: Place, message: str, *, line: int | None = None) -> None:
        """Add a problem at ``place``, such as ``("claims", 3, "control", "none")``."""
        identity, fields = "", place
        if len(place) > 1 and isinstance(place[1], int):
            identity, fields = self._identity(place[0], place[1]), place[2:]
        dotted = ".".join(str(part) for part in fields)
        problem = Problem(self.name, line or self.line(place), identity, dotted, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def sound(self, place: Place) -> bool:
        """Say whether nothing has been reported about the record at ``place``, which is ``(list, index)``."""
        identity = self._identity(place[0], place[1])
        return all(problem.id not in {identity, ""} for problem in self.problems)

    def _identity(self, items: Hashable, index: Hashable) -> str:
        try:
            identity = self.data[items][index]["id"]
        except (KeyError, IndexError, TypeError):
            identity = None
        return identity if isinstance(identity, str) and identity else f"{items}[{index}]"

    def _number(self, node: yaml.Node, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner, line = (*place, key.value), key.start_mark.line + 1
                if inner in self._lines:
                    self.report(inner, f"appears twice, first on line {self._lines[inner]}", line=line)
                self._lines.setdefault(inner, line)
                self._number(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines[(*place, index)] = item.start_mark.line + 1
                self._number(item, (*place, index))

    def _validate(self, schema: Mapping[str, Any]) -> None:
        from jsonschema import Draft202012Validator

        for error in Draft202012Validator(schema).iter_errors(self.data):
            place, rule = tuple(error.absolute_path), error.validator_value
            must = f"was {error.instance!r}; it must"
            match error.validator:
                case "required":
                    for name in [name for name in rule if name not in error.instance]:
                        self.report((*place, name), "is missing")
                case "additionalProperties":
                    known = error.schema["properties"]
                    for name in [name for name in error.instance if name not in known]:
                        close = difflib.get_close_matches(str(name), known, n=1)
                        hint = f"did you mean {close[0]}?" if close else f"the fields are {', '.join(known)}"
                        self.report((*place, name), f"is not a field; {hint}")
                case "enum":
                    self.report(place, f"{must} be one of {', '.join(map(str, rule))}")
                case "type":
                    kinds = [rule] if isinstance(rule, str) else rule
                    self.report(place, f"{must} be {' or '.join(_TYPES[kind] for kind in kinds)}")
                case "minItems":
                    self.report(place, "is empty; it must have at least one entry")
                case _ if rule == r"\S":
                    self.report(place, "is empty; it must be text, or null where null is allowed")
                case _:
                    self.report(place, f"{must} match {rule}")
