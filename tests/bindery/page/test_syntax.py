import ast
import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindery.page.syntax import code_digest, imports, parse_cell, strings


def digest(text):
    return code_digest([ast.parse(textwrap.dedent(text))])


PLAIN = """
    def f(x, *, y=1.5):
        return [x + y for _ in range(3)]
    """


@pytest.mark.parametrize(
    "other",
    [
        "# first\n\ndef f(x, *, y=1.5):  # why\n    return [x + y for _ in range(3)]",
        'def f(x, *, y=1.5):\n    """What."""\n    return [x + y for _ in range(3)]',
        '"""Module."""\ndef f(x,\n      *,\n      y=1.50):\n    return [(x) + y for _ in range(0x3)]',
        'def f(x, *, y=1.5):\n    u"What."; return [x + y for _ in range(3)]',
        '__version__ = "2"\n' + textwrap.dedent(PLAIN),
    ],
)
def test_how_code_is_written_does_not_change_its_digest(other):
    assert digest(other) == digest(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + y", "x - y"),
        ("y=1.5", "y=1.25"),
        ("*, y", "y"),
        ("range(3)", "range(True)"),
        ("def f", "def g"),
        ("for _ in", "for i in"),
        ("[x + y for _ in range(3)]", "{x + y for _ in range(3)}"),
        ("return [", "return None, ["),
    ],
)
def test_what_code_says_changes_its_digest(old, new):
    changed = PLAIN.replace(old, new)
    assert changed != PLAIN
    assert digest(changed) != digest(PLAIN)


def test_only_docstrings_are_left_out_not_other_texts():
    assert digest("x = 'a'") != digest("x = 'b'")
    assert digest("def f():\n    'What.'\n    return 'a'") != digest("def f():\n    'What.'\n    return 'b'")


@given(st.text(), st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_equal_digests_mean_equal_constants(first, second, number, real):
    texts = [f"x = {value!r}" for value in (first, second, number, real, first.encode("utf8", "replace"))]
    values = [ast.literal_eval(text[4:]) for text in texts]
    for text, value in zip(texts, values, strict=True):
        for other, twin in zip(texts, values, strict=True):
            same = type(value) is type(twin) and repr(value) == repr(twin)
            assert (digest(text) == digest(other)) == same


def test_unparsing_keeps_the_digest_of_real_modules():
    for file in (Path(json.__file__).parent / "decoder.py", Path(ast.__file__), Path(textwrap.__file__)):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert code_digest([ast.parse(ast.unparse(tree))]) == code_digest([tree])


def test_digest_is_the_same_under_every_python():
    # The number stands here so that every Python that the tests run under is held to it.
    code = 'def f(a, /, b: int = 2, **k):\n    return f"{a!r:>{b}} is {k}" "!", a[1:], {**k}\n'
    assert digest(code)[:16] == "8f14e0bc9036365e"


def test_the_letter_before_a_text_does_not_count():
    assert digest("x = u'a'") == digest("x = 'a'") != digest("x = b'a'")


def test_order_of_cells_counts():
    one, two = ast.parse("x = 1"), ast.parse("x = 2")
    assert code_digest([one, two]) != code_digest([two, one])


def test_magics_are_not_python_and_are_left_out():
    tree = parse_cell("%matplotlib inline\n!ls\nif x:\n    %time y = 1\nz = 5 % 3")
    assert ast.unparse(tree) == "pass\npass\nif x:\n    pass\nz = 5 % 3"
    with pytest.raises(SyntaxError):
        parse_cell("x = = 1")


@pytest.mark.parametrize(
    ("code", "package", "expected"),
    [
        ("import a.b", "", {"a.b": "a.b", "a": "a"}),
        ("import a.b as c", "", {"a.b": "a.b", "c": "a.b"}),
        ("from a import b as c, d", "", {"c": "a.b", "d": "a.d"}),
        ("from . import b", "p.q", {"b": "p.q.b"}),
        ("from ..r import b", "p.q", {"b": "p.r.b"}),
        ("def f():\n    from a import b", "", {"b": "a.b"}),
        ("import importlib\nimportlib.import_module('a.b')", "", {"importlib": "importlib", "a.b": "a.b"}),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", "", {"b": "b"}),
        ("if typing.TYPE_CHECKING:\n    import a", "", {}),
    ],
)
def test_imports_are_found_wherever_they_run(code, package, expected):
    assert dict(imports(ast.parse(code), package)) == expected


def test_two_imports_under_one_name_are_both_found():
    code = "def f():\n    from a import load\ndef g():\n    from b import load"
    assert imports(ast.parse(code)) == [("load", "a.load"), ("load", "b.load")]


def test_strings():
    assert strings(ast.parse("f('a', b'b', 3, k='c')")) == {"a", "c"}
