"""Laws of expressions, over generated sources and data."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from qflow.core import expression
from qflow.core.cel import Malformed, parse
from qflow.core.cel_operators import equal, less
from qflow.core.cel_syntax import text
from qflow.core.explain import deciding
from qflow.errors import DefinitionError, ExpressionError

PIECES = (
    "event", "event.data", "event.data.a", "event.data.b.c", "event.data['a']", "x", "null", "true",
    "1", "-1", "2.5", "'a'", "'1'", "b'a'", "[]", "[1, 'a']", "{'a': 1}", "==", "!=", "<", "<=", ">",
    ">=", "in", "+", "-", "*", "/", "%", "&&", "||", "!", "?", ":", "(", ")", "size(", "int(", "string(",
    "date(", "uppercase(", "b64decode(", "json_parse(", "now()", "now_plus(", "has(", ".contains(",
    ".matches('a')", ".exists(x, ", ".all(x, ", ".map(x, ", ".filter(x, ", "[0]", ".a", ",", "'",
)  # fmt: skip

SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.sampled_from(["1", "2.5", "", "2024-01-01"]) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes() | st.uuids() | st.timedeltas() | st.binary(max_size=3)
)  # fmt: skip
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)
EVENT = st.fixed_dictionaries({"data": st.dictionaries(st.sampled_from("abc"), VALUE)})


def sentences() -> st.SearchStrategy[str]:
    """Sources that are CEL, of every operator and function."""
    leaf = st.sampled_from(PIECES[:5] + PIECES[6:17])

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        infix = st.sampled_from(PIECES[17:30])
        called = st.sampled_from(
            [piece for piece in PIECES if piece[-1] == "(" and piece[0].isalpha()]
        )
        macro = st.sampled_from([piece for piece in PIECES if piece.endswith("(x, ")])
        return (
            st.tuples(inner, infix, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
            | st.tuples(called, inner).map(lambda p: f"{p[0]}{p[1]})")
            | st.tuples(inner, macro, inner).map(lambda p: f"{p[0]}{p[1]}{p[2]} == x)")
            | st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})")
            | inner.map(lambda p: f"!{p}")
        )

    return st.recursive(leaf, grown, max_leaves=8)


def outcome(source: str, event: dict[str, Any]) -> tuple[str, Any]:
    """What an expression comes to; any other error than its own fails the test."""
    try:
        compiled = expression.compile(source)
    except DefinitionError as error:
        assert str(error).isprintable()
        return "refused", str(error)
    try:
        value = compiled.value({"event": event}, 1_700_000_000_000)
    except ExpressionError as error:
        return "failed", str(error)
    return "value", value


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join), EVENT)
@settings(max_examples=400)
def test_no_source_raises_anything_but_its_own_error(source: str, event: dict[str, Any]) -> None:
    outcome(source, event)


@given(sentences(), EVENT)
@settings(max_examples=400)
def test_the_same_source_and_data_come_to_the_same(source: str, event: dict[str, Any]) -> None:
    kind, value = outcome(source, event)
    assert kind == "refused" or outcome(source, event) == (kind, value)
    if kind == "value":
        compiled = expression.compile(source)
        truth = compiled.truthy({"event": event}, 1_700_000_000_000)
        assert truth is (bool(value) or type(value) in (list, dict, bytes))
        deciding(compiled, {"event": event}, 1_700_000_000_000)


@given(sentences())
@settings(max_examples=300)
def test_the_text_of_a_tree_reads_as_that_tree(source: str) -> None:
    with suppress(Malformed):
        once = text(parse(source))
        assert text(parse(once)) == once


@given(SCALAR, SCALAR)
def test_values_are_equal_or_ordered_one_way_at_most(a: Any, b: Any) -> None:
    a, b = plainly(a), plainly(b)
    assert equal(a, b) == equal(b, a)
    assert [equal(a, b), less(a, b), less(b, a)].count(True) <= 1


def plainly(value: Any) -> Any:
    got = expression.compile("event.data.a").value({"event": {"data": {"a": value}}})
    assert type(got) in (type(None), bool, int, float, str, datetime, bytes)
    return got
