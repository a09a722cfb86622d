"""What expressions give: null-safe, loosely typed, bounded, and wrong ones refused with their place."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from qflow.core import expression
from qflow.errors import DefinitionError, ExpressionError

NOW_MS = 1_700_000_000_000
DATA: dict[str, Any] = {
    "plan": "pro", "amount": 200, "price": 1.5, "text": "abc", "list": [1, 2, 3], "yes": True,
    "map": {"a": 1, "b-c": 2}, "none": None, "digits": "250", "day": "2024-01-01", "empty": "",
    "users": [{"n": "ann", "age": 41}, {"n": "bo"}],
}  # fmt: skip
EVENT = {"name": "user/created", "id": "e1", "ts": NOW_MS, "data": DATA}


def value(source: str, **data: Any) -> Any:
    event = {**EVENT, "data": {**DATA, **data}}
    return expression.compile(source).value({"event": event}, NOW_MS)


CASES: dict[str, list[tuple[str, Any]]] = {
    "a missing path is null": [
        ("event.data.x", None),
        ("event.data.x.y.z", None),
        ("event.data.plan.x", None),
        ("event.data.list[7]", None),
        ("event.data.list[-1]", None),
        ("event.data.map['x']", None),
        ("event.data.x['y'][0].z", None),
        ("event.data.x == null", True),
        ("null == event.data.x", True),
        ("event.data.x != null", False),
        ("event.data.x == 'a'", False),
        ("event.data.x == 0", False),
        ("event.data.x == false", False),
        ("event.data.x != 'a'", True),
        ("event.data.x < 1", True),
        ("event.data.x <= -1", True),
        ("event.data.x < 'a'", True),
        ("event.data.x > 1", False),
        ("event.data.x >= 1", False),
        ("1 > event.data.x", True),
        ("event.data.x >= event.data.y", True),
        ("event.data.x < event.data.y", False),
        ("size(event.data.x)", 0),
        ("event.data.x.size()", 0),
        ("event.data.x.contains('a')", False),
        ("event.data.x.matches('a')", False),
        ("'a' in event.data.x", False),
        ("event.data.x.exists(i, true)", False),
        ("event.data.x.all(i, false)", True),
        ("event.data.x.map(i, i)", []),
        ("lowercase(event.data.x)", None),
        ("int(event.data.x)", None),
        ("date(event.data.x)", None),
        ("string(event.data.x)", ""),
        ("event.data.x + '-' + event.data.text", "-abc"),
        ("event.data.x + 1", 1),
        ("event.data.x - 1", None),
        ("-event.data.x", None),
        ("has(event.data.x)", False),
        ("has(event.data.none)", True),
        ("has(event.data.x.y)", False),
    ],
    "kinds mix": [
        ("1 == 1.0", True),
        ("event.data.amount > 199.5", True),
        ("event.data.digits > 100", True),
        ("100 < event.data.digits", True),
        ("event.data.digits == 250", True),
        ("event.data.digits in [1, 250]", True),
        ("event.data.text == 1", False),
        ("event.data.text != 1", True),
        ("event.data.text < 1", False),
        ("event.data.text > 1", False),
        ("event.data.list > 'a'", False),
        ("true == 1", False),
        ("event.data.yes == 'true'", False),
        ("event.data.list == [1, 2.0, '3']", True),
        ("event.data.map == {'a': 1, 'b-c': 2}", True),
        ("event.data.text + 1", "abc1"),
        ("1.0 + event.data.text", "1abc"),
        ("event.data.text + true", "abctrue"),
        ("event.data.digits * 2", 500),
        ("[1] + [2]", [1, 2]),
        ("event.ts == date(event.ts)", True),
        ("date('2024-01-01') == '2024-01-01T00:00:00Z'", True),
    ],
    "and, or, not and ? are about truth": [
        ("event.data.x || 'default'", "default"),
        ("event.data.empty || 0", 0),
        ("event.data.plan || 'default'", "pro"),
        ("event.data.plan && event.data.amount", 200),
        ("event.data.empty && event.data.amount", ""),
        ("0 && true", 0),
        ("!event.data.empty && !0 && !false && !null", True),
        ("![] || !{}", False),
        ("event.data.plan ? 1 : 2", 1),
        ("event.data.x ? 1 : 2", 2),
        ("false && 1 / 0 == 1", False),
        ("true || 1 / 0 == 1", True),
    ],
    "functions": [
        ("size('añ😀')", 3),
        ("size(event.data.map)", 2),
        ("event.data.text.contains('b')", True),
        ("event.data.amount.startsWith('2')", True),
        ("event.data.text.endsWith('x')", False),
        ("event.data.text.matches('^a.c$')", True),
        ("event.data.text.matches('b')", True),
        ("uppercase(event.data.text) + lowercase('ABC')", "ABCabc"),
        ("b64decode('aGk=')", "hi"),
        ("json_parse('{\"a\": [1, 2]}').a[1]", 2),
        ("int('12') + int(1.9) + int(true)", 14),
        ("double('1.5') + double(1)", 2.5),
        ("string(12) + string(1.5) + string(true)", "121.5true"),
        ("now() == event.ts", True),
        ("now_plus('24h') > now() && now_minus('1h') < now()", True),
        ("date(event.data.day) > now()", True),
        ("date(event.data.day)", datetime(2024, 1, 1, tzinfo=UTC)),
        ("string(date('2024-01-01T02:00:00+02:00'))", "2024-01-01T00:00:00Z"),
        ("2 in event.data.list", True),
        ("'a' in event.data.map", True),
        ("event.data.map.`b-c`", 2),
        ("event.data['map']['a']", 1),
    ],
    "macros": [
        ("event.data.users.exists(u, u.age > 40)", True),
        ("event.data.users.all(u, u.n != '')", True),
        ("event.data.users.all(u, u.age > 0)", False),
        ("event.data.users.exists_one(u, has(u.age))", True),
        ("event.data.users.map(u, u.n)", ["ann", "bo"]),
        ("event.data.users.map(u, u.age, u.n)", ["ann"]),
        ("event.data.list.filter(i, i > 1)", [2, 3]),
        ("event.data.map.exists(k, k == 'a')", True),
        ("event.data.list.map(a, event.data.list.filter(b, b < a))", [[], [1], [1, 2]]),
        ("event.data.list.map(event, event + 1) == [2, 3, 4]", True),
    ],
    "numbers": [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
        ("7.0 / 2", 3.5),
        ("1 + 2 * 3 - 4", 3),
        ("-event.data.amount", -200),
        ("0x1F + 1u", 32),
    ],
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [pytest.param(*case, id=case[0]) for cases in CASES.values() for case in cases],
)
def test_values(source: str, expected: Any) -> None:
    found = value(source)
    assert (found, type(found)) == (expected, type(expected))


def test_truth_is_of_the_value() -> None:
    for source, truth in {"event.data.plan": True, "event.data.empty": False, "[]": True}.items():
        assert expression.compile(source).truthy({"event": EVENT}) is truth


def test_rich_values_of_an_event_are_plain_values() -> None:
    when = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert value("event.data.at > date('2024-01-01')", at=when)
    assert value("event.data.at == date('2024-01-01')", at=date(2024, 1, 1))
    assert value("event.data.at == date('2024-01-01T12:00:00')", at=datetime(2024, 1, 1, 12))
    assert value("event.data.price == 0.1 && event.data.n == 7", price=Decimal("0.1"), n=Decimal(7))
    assert value("event.data.key", key=UUID(int=1)) == str(UUID(int=1))
    assert value("event.data.wait > 59", wait=timedelta(minutes=1))
    assert value("'a' in event.data.tags && size(event.data.pair) == 2", tags={"a"}, pair=(1, 2))
    assert value("event.data", nested=[{"n": Decimal("0.5")}])["nested"] == [{"n": 0.5}]


def test_two_events() -> None:
    both = expression.compile("event.data.id == async.data.id", ("event", "async"))
    assert both.truthy({"event": {"data": {"id": 1}}, "async": {"data": {"id": 1}}})
    assert not both.truthy({"event": {"data": {"id": 1}}})
    assert both.source == "event.data.id == async.data.id"


@pytest.mark.parametrize(
    ("source", "problem"),
    {
        "event.data.plan === 'pro'": "column 17: === is no operator of CEL; write ==",
        "event.data.plan !== 'pro'": "column 17: !== is no operator of CEL; write !=",
        "event.data.plan = 'pro'": "column 17: cannot read '='",
        "invalid": "column 1: unknown name 'invalid'; known here: event",
        "true && (evnt.data.x)": "column 10: unknown name 'evnt'",
        "async.data.id": "column 1: unknown name 'async'",
        "event.data.l.map(x, x) == x": "column 27: unknown name 'x'; known here: event",
        "event.data.plan == \n  nope": "line 2 column 3: unknown name 'nope'",
        "'é😀' == nope": "column 9: unknown name 'nope'",
        "event.data.f(1)": "column 13: unknown function 'f'; there are all, ",
        "contains(event.data.a, 'b')": "write text.contains(part)",
        "event.data.a.lowercase()": "write lowercase(…), not x.lowercase(…)",
        "size()": "size() takes 1 argument",
        "now(1)": "now() takes no arguments",
        "event.data.(": "column 12: cannot read '.('",
        "event.data.a &&": "it ends too early",
        "": "it is empty",
        "'abc": "cannot read",
        "99999999999999999999": "invalid int literal",
        "A{b: 1}": "messages such as Name{field: …} do not exist here",
        "event.data.a.matches('(')": "column 22: matches() cannot use the pattern: unclosed group",
        "event.data.a.matches('(?=a)')": "look-ahead and look-behind, is not supported",
        "event.data.a.matches(event.data.b)": "matches() needs its pattern as text",
        "date('yesterday')": "column 5: date() needs ISO 8601 text or milliseconds",
        "now_plus('soon')": "column 9: now_plus() needs a length of time",
        "'" + "x" * 5000 + "'": "it has 5002 characters, over 4096",
        "(" * 50 + "1" + ")" * 50: "nested too deeply: 32 levels at most",
        "1" + " + 1" * 50: "nested too deeply: 32 levels at most",
        "'\ud800'": "column 2: a lone surrogate is no character",
    }.items(),
)
def test_what_is_wrong_is_said_with_its_place_in_one_line(source: str, problem: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        expression.compile(source, where="function 'f' of app 'a', trigger when")
    message = str(raised.value)
    assert message.startswith("function 'f' of app 'a', trigger when")
    assert problem in message
    assert message.isprintable()


def test_an_expression_is_text() -> None:
    with pytest.raises(DefinitionError, match="idempotency must be text such as .*, not int"):
        expression.compile(7, where="idempotency")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "problem"),
    {
        "1 / event.data.zero": "/ by zero",
        "event.data.amount % event.data.zero": "% by zero",
        "event.data.text * 2": "* needs numbers, not text",
        "event.data.list - 1": "- needs numbers, not a list",
        "event.data.text + event.data.list": "a list is no text",
        "9223372036854775807 + event.data.amount": "left the range of 64 bits",
        "size(event.data.amount)": "size() needs text, a list or a map, not a number",
        "event.data.list.contains(1)": "contains() needs text, not a list; write `x in list`",
        "'a' in event.data.text": "`in` needs a list or a map, not text; write text.contains(part)",
        "event.data.text.exists(c, c == 'a')": "exists() needs a list or a map, not text",
        "int(event.data.text)": "int() needs a number or text that reads as one",
        "date(event.data.text)": "date() needs ISO 8601 text",
        "json_parse(event.data.text)": "json_parse() needs JSON text",
        "b64decode(event.data.text)": "b64decode() needs base64 of UTF-8 text",
        "now_plus(event.data.text)": "now_plus() needs a length of time",
        "event.data.long.matches('a')": "matches() looks at 65536 characters at most",
        "event.data.long": "over the limit of 64 KiB",
    }.items(),
)
def test_what_has_no_value_raises_its_own_error(source: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        value(source, zero=0, long="x" * 100_000)
    assert problem in str(raised.value)
    assert "abc" not in str(raised.value)  # it may be logged, and data are not


@pytest.mark.parametrize(
    "source",
    [
        "event.data.l.exists(a, event.data.l.exists(b, event.data.l.exists(c, c < 0)))",
        "event.data.l.map(a, event.data.s + 'x')",
        "event.data.l.exists(a, event.data.s == event.data.s + 'a')",
        "event.data.l.exists(a, event.data.deep != event.data.twin)",
        "event.data.l.filter(a, a in event.data.l)",
        "event.data.l.map(a, uppercase(event.data.s))",
        "event.data.l.exists(a, event.data.s.contains('y'))",
        "event.data.l.map(a, event.data.l.map(b, event.data.l))",
        "event.data.l.exists(a, json_parse(event.data.j) == 1)",
    ],
)
def test_what_costs_too_much_is_ended(source: str) -> None:
    data = {
        "l": list(range(20_000)), "s": "x" * 400_000, "deep": [[1] * 20_000], "twin": [[1] * 20_000],
        "j": json.dumps([1] * 100_000),
    }  # fmt: skip
    with pytest.raises(ExpressionError, match="it costs too much"):
        expression.compile(source).value({"event": {"data": data}})


def test_a_whole_event_can_be_looked_through() -> None:
    data = {"l": list(range(70_000))}  # about 512 KiB of JSON
    assert expression.compile("event.data.l.all(a, a >= 0)").truthy({"event": {"data": data}})


def test_regular_expressions_do_not_blow_up() -> None:
    assert value("event.data.s.matches('(a+)+$')", s="a" * 30_000 + "!") is False


def test_deep_data_raise_its_own_error() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ExpressionError):
        expression.compile("event.data").value({"event": {"data": deep}})


def test_the_same_text_is_compiled_once() -> None:
    assert expression.compile("event.data.once") is expression.compile("event.data.once")


def test_a_service_without_expressions_does_not_load_the_parser() -> None:
    code = (
        "import sys, qflow; app = qflow.App('a'); app.function('f', trigger='go')(lambda event: None);"
        "print([m for m in sys.modules if 'cel' in m.split('.')[-1].split('_')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
