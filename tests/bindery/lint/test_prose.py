"""What a Markdown text says, and what of it is not prose."""

from __future__ import annotations

import pytest

from bindery.lint.prose import pieces


def said(text, kind="prose"):
    return [piece.text.strip() for piece in pieces(text) if piece.kind == kind and piece.text.strip()]


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 0.1\n```",
        "~~~\n0.1\n~~~",
        "    0.1",
        "```{code-block} python\n0.1\n```",
        "```{code-cell}\n0.1\n```",
        "```{raw} html\n0.1\n```",
        "```{bibliography}\n:filter: 0.1\n```",
        "```{toctree}\n0.1\n```",
        "% a comment 0.1",
        "<!-- 0.1 -->",
        "---\ntitle: 0.1\n---",
        "(label-0.1)=",
        "```{figure} a-0.1.svg\n:width: 0.1em\n```",
        "[](0.1)",
        "[ref]: https://example.org/0.1",
    ],
)
def test_what_is_not_prose(text):
    assert not any("0.1" in line for line in said(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.1",
        "# Title 0.1",
        "- item\n  - 0.1",
        "> 0.1",
        "| a |\n|---|\n| 0.1 |",
        "**0.1**",
        "[0.1](address)",
        "<div>0.1</div>",
        "a <b>0.1</b>",
        "```{note}\n0.1\n```",
        "```{note} 0.1\n```",
        "```{exercise}\n:label: a\n\n0.1\n```",
        ":::{tip}\n0.1\n:::",
        "````{admonition} T\n```{warning}\n0.1\n```\n````",
        "```{figure} a.svg\n:name: a\n\nCaption 0.1\n```",
        "```{figure} a.svg\n---\nname: a\n---\nCaption 0.1\n```",
        "[^a]: 0.1\n\nText[^a]",
    ],
)
def test_what_is_prose(text):
    assert any("0.1" in line for line in said(text))


@pytest.mark.parametrize(
    "text",
    [
        "a $0.1$ b",
        "$$ 0.1 $$",
        "$$\n0.1\n$$ (eq-a)",
        "{math}`0.1`",
        "```{math}\n:label: eq\n0.1\n```",
        "\\begin{align}\n0.1\n\\end{align}",
        "```{note}\n$0.1$\n```",
    ],
)
def test_what_is_mathematics(text):
    assert any("0.1" in line for line in said(text, "math"))
    assert not any("0.1" in line for line in said(text))


@pytest.mark.parametrize(
    "text",
    [
        "![0.1](a.png)",
        "```{figure} a.svg\n:alt: 0.1\n```",
        "```{image} a.svg\n---\nalt: 0.1\n---\n```",
        '<img src="a" alt="0.1">',
        "a <img alt='0.1'> b",
    ],
)
def test_what_is_alt_text(text):
    assert said(text, "alt") == ["0.1"]
    assert not any("0.1" in line for line in said(text))


@pytest.mark.parametrize(
    "text",
    [
        "{glue:text}`a-b:.2f`",
        "{glue}`a-b:.2f`",
        "```{glue} a-b:.2f\n```",
        "```{glue:figure} a-b:.2f\n```",
        "```{note}\n{glue:text}`a-b:.2f`\n```",
        "| a |\n|---|\n| {glue:text}`a-b:.2f` |",
    ],
)
def test_what_is_glue(text):
    assert said(text, "glue") == ["a-b:.2f"]


def test_what_is_left_out_keeps_its_neighbours_apart():
    assert said("24 {glue:text}`x` of 30, 1`a`2, 3$x$4") == ["24 \ue000 of 30, 1\ue0002, 3\ue0004"]


def test_lines_are_those_of_the_file():
    text = "# A\n\nfirst\n\n```{note}\n:class: x\n\ninner\n\n:::{tip}\ndeep\n:::\n```\n\nlast\n"
    lines = text.splitlines()
    assert [lines[piece.line - 1] for piece in pieces(text)] == ["# A", "first", "inner", "deep", "last"]
    assert pieces("x", first_line=7)[0].line == 7
    assert [piece.line for piece in pieces("| a |\n|---|\n| b |\n| c |")] == [1, 3, 4]
