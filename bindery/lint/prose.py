"""What a MyST Markdown text says to its reader: prose, mathematics, alt texts, bound values."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

Kind = Literal["prose", "math", "alt", "glue"]

_DIRECTIVE = re.compile(r"\{([\w:.-]+)\}\s*(.*)", re.DOTALL)
_OPTION = re.compile(r":([\w-]+):(?:\s+(.*))?$")
_HTML = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
_ALT = re.compile(r"""\balt\s*=\s*(["'])(.*?)\1""", re.DOTALL)
# Directives whose body is not prose: code, and addresses of other things.
_SILENT = {"bibliography", "code", "code-block", "code-cell", "contents", "include", "literalinclude"}
_SILENT |= {"raw", "toctree"}
_FIGURES = {"figure", "image", "glue:figure"}


@dataclass(frozen=True)
class Piece:
    """A part of a text with its line."""

    kind: Kind
    text: str
    line: int


@cache
def _parser() -> MarkdownIt:
    # The site's own, with what says something apart from prose.
    extensions = {"amsmath", "colon_fence", "dollarmath"}
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


def pieces(text: str, *, first_line: int = 1) -> list[Piece]:
    r"""Split a text into what is said and how; code, addresses, labels and comments are left out.

    >>> [(piece.kind, piece.text) for piece in pieces("We see {glue:text}`slope:.2f` in `x = 0.1`, $a=1$.")]
    [('glue', 'slope:.2f'), ('math', 'a=1'), ('prose', 'We see \ue000 in \ue000, \ue000.')]
    """
    return list(_blocks(_parser().parse(text), first_line))


def _blocks(tokens: Sequence[Token], first: int) -> Iterator[Piece]:
    for token in tokens:
        line = first + (token.map[0] if token.map else 0)
        if token.type == "inline":
            yield from _inline(token.children or [], line)
        elif token.type in {"math_block", "math_block_label", "amsmath"}:
            yield Piece("math", token.content, line)
        elif token.type == "html_block":
            yield from _alt(token.content, line)
            yield Piece("prose", _HTML.sub(" ", token.content), line)
        elif token.type in {"fence", "colon_fence"} and (found := _DIRECTIVE.match(token.info.strip())):
            yield from _directive(found[1], found[2], token.content, line)


def _inline(tokens: Sequence[Token], line: int) -> Iterator[Piece]:
    """Yield the parts of a paragraph; what is not prose leaves a mark that keeps its neighbours apart."""
    said: list[str] = []
    for token in tokens:
        if token.type == "text":
            said.append(token.content)
        elif token.type in {"softbreak", "hardbreak"}:
            said.append(" ")
        elif token.type == "image":
            yield Piece("alt", token.content, line)
        elif token.type in {"math_inline", "math_inline_double"}:
            yield Piece("math", token.content, line)
            said.append("\ue000")
        elif token.type == "myst_role":
            name = str(token.meta["name"])
            if name.partition(":")[0] == "glue":
                yield Piece("glue", token.content.strip(), line)
            elif name == "math":
                yield Piece("math", token.content, line)
            said.append("\ue000")
        elif token.type == "html_inline":
            yield from _alt(token.content, line)
        elif token.type == "code_inline":
            said.append("\ue000")
    yield Piece("prose", "".join(said), line)


def _alt(html: str, line: int) -> Iterator[Piece]:
    return (Piece("alt", found[2], line) for found in _ALT.finditer(html))


def _directive(name: str, argument: str, body: str, line: int) -> Iterator[Piece]:
    """Yield the parts of a directive: its title, the prose of its body, the alt text among its options."""
    if name in _SILENT:
        return
    lines = body.splitlines()
    options, start = _options(lines)
    inner, inner_line = "\n".join(lines[start:]), line + 1 + start
    if "alt" in options:
        yield Piece("alt", options["alt"], line)
    if name == "glue" or name.startswith("glue:"):
        yield Piece("glue", argument.strip(), line)
    elif name == "math":
        yield Piece("math", f"{argument}\n{inner}", line)
        return
    elif name not in _FIGURES:
        yield from pieces(argument, first_line=line)
    yield from pieces(inner, first_line=inner_line)


def _options(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """Return a directive's options, and how many lines they take."""
    options: dict[str, str] = {}
    if lines and lines[0].strip() == "---":
        end = next((i for i, text in enumerate(lines[1:], 1) if text.strip() == "---"), 0)
        pairs = (text.partition(":") for text in lines[1:end])
        return {key.strip(): value.strip() for key, _, value in pairs}, end + 1 if end else 0
    for text in lines:
        if not (found := _OPTION.match(text.strip())):
            break
        options[found[1]] = (found[2] or "").strip()
    return options, len(options)
