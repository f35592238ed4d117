"""Which items are taken: expressions over their fields, and some at random."""

import itertools
import math
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import InputError, InvalidError
from llmbatch_contract.records import Item
from llmbatch_worker.inputs.selecting import Sampler, SelectError, Where

_ITEM: Item = {
    "lang": "de",
    "stars": 2,
    "price": 1.5,
    "text": "I want a refund, {{ now }}",
    "customer": {"tier": "gold", "tags": ["a", "b"], "since": None},
    "tags": [1, 2, 3],
    "nothing": None,
    "urgent": True,
    "count": "12",
    "range": 3,
    "big": 2**64 - 1,
}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("lang == 'de' and stars < 3", True),
        ("lang == 'en' or stars >= 2", True),
        ("not (lang == 'de')", False),
        ("lang != 'en'", True),
        ("3 > stars", True),
        ("stars < -1", False),
        ("stars == 2.0", True),
        ("price * stars == 3", True),
        ("stars + 1 <= 3", True),
        ("stars is divisibleby(2)", True),
        ("'refund' in text", True),
        ("'}}' in text", True),
        ('"refund" not in text', False),
        ("text|length > 100", False),
        ("lang|upper == 'DE'", True),
        ("lang.startswith('d')", True),
        ("text is startingwith 'I want'", True),
        ("lang in ['de', 'en']", True),
        ("lang not in ['fr']", True),
        ("stars in (1, 2)", True),
        ("2 in tags", True),
        ("tags|select('gt', 2)|list|length == 1", True),
        ("customer.tier == 'gold'", True),
        ("customer['tier'] == 'gold'", True),
        ("customer.tags[0] == 'a'", True),
        ("customer.tier in ['gold', 'silver'] and stars < 3", True),
        ("urgent", True),
        ("not urgent", False),
        ("urgent == true", True),
        ("urgent == 1", True),
        ("nothing is none", True),
        ("nothing == none", True),
        ("nothing == 3", False),
        ("nothing != 'x'", True),
        ("nothing is not none and nothing < 3", False),
        ("customer.since is none", True),
        ("missing is defined", False),
        ("missing is not defined", True),
        ("missing is defined and missing < 3", False),
        ("customer.none_such is defined and customer.none_such == 'x'", False),
        ("missing|default(0) == 0", True),
        ("count|int > 9", True),
        ("count == '12'", True),
        ("lang < 'e'", True),
        ("stars < 3 if urgent else stars > 3", True),
        ("lang|replace('de', 'x') == 'x'", True),
        ("range > 2", True),
        ("range(3)|length == 3", True),
        ("big == 18446744073709551615", True),
        ("lang == 'd\\'e'", False),
        ("lang\n  == 'de'\nand\tstars < 3", True),
        ("true", True),
        ("1 < 2", True),
    ],
)
def test_an_expression_holds_or_not(expression: str, holds: bool) -> None:
    assert Where(expression).holds(_ITEM) is holds


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("lang == 'de' and stars < 3", {"lang", "stars"}),
        ("customer.tier == 'gold'", {"customer"}),
        ("missing is defined", {"missing"}),
        ("range(3)|length == n", {"n"}),
        ("range > 2 and dict == 1", {"range", "dict"}),
        ("lang.startswith('d')", {"lang"}),
        ("'lang' in text", {"text"}),
        ("true", set()),
    ],
)
def test_the_fields_that_it_asks_for_are_known(expression: str, fields: set[str]) -> None:
    assert Where(expression).fields == fields


_USUAL = "; an expression is as in `lang == 'de' and stars < 3`"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("lang = 'de'", "column 6: '=' means nothing here; to compare, say `==`"),
        ("lang == 'de' && stars < 3", "column 14: '&' means nothing here; say `and`"),
        ("lang == 'de' || stars < 3", "column 15: '|' means nothing here; say `or`"),
        ("stars <> 3", "column 8: '>' means nothing here; say `!=`"),
        ("!urgent", "column 1: '!' means nothing here; say `not`, or `!=`"),
        ("lang == 'de' AND stars < 3", "column 14: 'AND' means nothing here; say `and`"),
        ("nothing IS NULL", "column 9: 'IS' means nothing here; say `is`, as in `lang is none`"),
        ("text LIKE 'a%'", "column 6: 'LIKE' means nothing here; say `'…' in text`, or `text is startingwith '…'`"),
        ("stars BETWEEN 1 AND 3", "column 7: 'BETWEEN' means nothing here; say `1 <= n and n <= 5`"),
        ("1 < stars < 5", "column 11: '<' means nothing here; compare two things at a time: `1 < n and n < 5`"),
        ("stars == 2 == true", "column 12: '==' means nothing here; compare two things at a time: `1 < n and n < 5`"),
        ("urgent ? 1 : 2", "column 8: '?' means nothing here; say `a if condition else b`"),
        ("lang == ‘de’", "column 9: '‘' means nothing here; use straight quotes"),
        ("lang == 'de", "column 9: \"'\" means nothing here; a quote is never closed"),
        ("lang == 'ü' and stars @ 3", "column 23: '@' means nothing here" + _USUAL),
        ("{{ stars }} < 3", "column 1: this is an expression, no template; leave {{ and }} out"),
        ("(stars < 3", "column 1: '(' is never closed"),
        ("stars < 3)", "column 10: ')' closes nothing that was opened"),
        ("tags[0) == 1", "column 7: ')' closes nothing that was opened"),
        ("true }}{{ true", "column 6: '}' closes nothing that was opened"),
        ("stars <", "column 8: something is missing at the end" + _USUAL),
        ("stars < 3 and", "column 14: something is missing at the end" + _USUAL),
        ("  ", "column 3: something is missing at the end" + _USUAL),
        ("lang 'de'", "column 6: unexpected string, expected `)`" + _USUAL),
        ("lang == 'de'\nand\nstars < < 3", "line 3, column 9: '<' means nothing here; compare two things at a time: "
            "`1 < n and n < 5`"),
        ("lang|nofilter == 'x'", "column 6: there is no filter 'nofilter'" + _USUAL),
        ("urgent or lang is funny", "column 19: there is no test 'funny'" + _USUAL),
        ("lang is not funny", "column 13: there is no test 'funny'" + _USUAL),
        ("urgent or len(lang) == 2", "column 11: there is no function 'len'" + _USUAL),
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused_with_its_place_and_a_hint(expression: str, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Where(expression)
    assert str(caught.value) == f"spec.input.where: {message}"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("missing < 3", "field missing is missing; say `missing is defined and missing < 3`"),
        ("missing == 'x'", "field missing is missing; say `missing is defined and missing == 'x'`"),
        ("customer.age > 3", "field customer.age is missing; say `customer.age is defined and customer.age > 3`"),
        ("missing", "field missing is missing; say `missing is defined and …`"),
        ("lan == 'de'", "field lan is missing; say `lan is defined and lan == 'de'`; or did you mean lang?"),
        ("lan", "field lan is missing; say `lan is defined and …`; or did you mean lang?"),
        ("not missing", "field missing is missing; say `missing is defined and …`"),
        ("'x' in missing", "field missing is missing; say `missing is defined and …`"),
        ("missing|upper == 'X'", "field missing is missing; say `missing is defined and …`"),
        ("none_1 == none_2", "fields none_1, none_2 are missing; say `none_1 is defined and …`"),
        ("lang == NULL", "NULL is written `none`"),
        ("urgent == TRUE", "TRUE is written `true`"),
        ("null == 3", "null is written `none`"),
        ("nothing < 3", "field nothing is null; say `nothing is not none and nothing < 3`"),
        ("customer.since >= '2026'", "field customer.since is null; say `customer.since is not none and "
            "customer.since >= '2026'`"),
        ("count < 3", "field count is text, which `count < 3` takes for a number; say `count|int` or `count|float`"),
        ("3 <= count", "field count is text, which `3 <= count` takes for a number; say `count|int` or `count|float`"),
        ("count in [12, 13]", "field count is text, which `count in [12, 13]` takes for a number; say `count|int` or "
            "`count|float`"),
        ("count not in [-1]", "field count is text, which `count not in [-1]` takes for a number; say `count|int` or "
            "`count|float`"),
        ("stars == '2'", "field stars is a number, which `stars == '2'` takes for text; leave the quotes out, or say "
            "`stars|string`"),
        ("tags == 3", "field tags is a list or an object, which `tags == 3` takes for a number; compare what is in "
            "it, as `tags|length`"),
        ("lang", "gives text, not true or false; compare it, as in `lang == 'de'`"),
        ("stars", "gives a number, not true or false; compare it, as in `lang == 'de'`"),
        ("nothing", "gives null, not true or false; compare it, as in `lang == 'de'`"),
        ("customer", "gives an object, not true or false; compare it, as in `lang == 'de'`"),
        ("urgent and tags", "gives a list, not true or false; compare it, as in `lang == 'de'`"),
        ("'x' in stars", "cannot perform a containment check on this value"),
        ("lang|int > 3", "invalid float literal"),
    ],
)  # fmt: skip
def test_an_item_that_cannot_be_judged_is_an_error_that_says_how(expression: str, message: str) -> None:
    with pytest.raises(SelectError) as caught:
        Where(expression).holds(_ITEM)
    assert str(caught.value) == f"spec.input.where: {message}"
    assert isinstance(caught.value, InputError)


def test_what_comes_before_saves_from_what_would_be_an_error() -> None:
    where = Where("count is number and count < 20 or count is string and count|int < 20")
    assert [where.holds({"count": count}) for count in (3, "3", 30, "30")] == [True, True, False, False]


def test_the_content_of_an_item_is_in_no_message() -> None:
    for expression in ("text < 3", "text", "text|int < 3", "text == 1", "text.no.field == 1"):
        with pytest.raises(SelectError) as caught:
            Where(expression).holds({"text": "TOPSECRET"})
        assert "TOPSECRET" not in str(caught.value)


def test_an_expression_that_never_ends_is_stopped() -> None:
    began = time.monotonic()
    with pytest.raises((SelectError, InvalidError)):
        Where("range(10000000)|map('string')|join|length > 3").holds({})
    assert time.monotonic() - began < 5


def test_an_expression_reaches_neither_files_nor_python() -> None:
    for expression in ("lang.__class__ is defined", "''.__class__ is defined", "lang.__len__ is defined"):
        assert Where(expression).holds({"lang": "de"}) is False


_VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)  # fmt: skip
_OPERATORS = ["==", "!=", "<", "<=", ">", ">="]
_PYTHON = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    value=_VALUES, literal=st.integers(0, 1000) | st.sampled_from(["", "a", "zz"]), operator=st.sampled_from(_OPERATORS)
)
def test_a_comparison_is_that_of_python_or_an_error(value: Any, literal: int | str, operator: str) -> None:
    def found(expression: str) -> bool | None:
        try:
            return Where(expression).holds({"f": value})
        except SelectError:
            return None

    said = repr(literal)
    comparable = isinstance(value, str) == isinstance(literal, str) and value is not None
    if comparable:
        expected = _PYTHON[operator](value, literal)
    else:
        expected = None if value is not None or operator not in ("==", "!=") else operator == "!="
    assert found(f"f {operator} {said}") is expected
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
    assert found(f"{said} {mirrored} f") is expected


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1 ()[]'\"|.<>=!&,{}%-+*~notisdefinednandor", max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        Where(text).holds({"a": 1, "b": "x"})
    except InvalidError as error:
        assert str(error).startswith("spec.input.where: ")


def test_judging_an_item_takes_a_few_microseconds() -> None:
    where, item = Where("lang == 'de' and stars < 3"), _ITEM | {f"field {n}": "x" * 1000 for n in range(50)}
    best = math.inf
    for _ in range(5):
        began = time.process_time()
        for _ in range(2000):
            where.holds(item)
        best = min(best, (time.process_time() - began) / 2000)
    assert best < 40e-6


# Samples


def taken(numbers: Any, items: int, seed: int = 0) -> list[int]:
    sampler = Sampler(items, seed)
    for number in numbers:
        sampler.note(number)
    return sampler.taken()


def test_the_same_seed_takes_the_same_items_for_ever() -> None:
    """Other numbers here would be other items for everybody who samples."""
    assert taken(range(1000), 10) == [291, 320, 369, 424, 441, 451, 709, 926, 994, 999]
    assert taken(range(1000), 10, seed=7) == [243, 247, 264, 408, 626, 669, 713, 891, 976, 985]


def test_the_hashes_of_a_process_make_no_difference() -> None:
    script = (
        "from llmbatch_worker.inputs.selecting import Sampler\n"
        "s = Sampler(5, 3)\nfor n in range(500): s.note(n)\nprint(s.taken())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {f"{taken(range(500), 5, seed=3)}\n"}


@settings(max_examples=100, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 2**40), unique=True, max_size=60), items=st.integers(1, 70), seed=st.integers(0, 99)
)
def test_exactly_so_many_are_taken_in_whatever_order_they_come(numbers: list[int], items: int, seed: int) -> None:
    found = taken(numbers, items, seed)
    assert len(found) == min(items, len(numbers))
    assert set(found) <= set(numbers)
    assert found == sorted(found) == taken(sorted(numbers), items, seed)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 300), items=st.integers(1, 40), more=st.integers(1, 100))
def test_a_larger_sample_holds_the_smaller_one(count: int, items: int, more: int) -> None:
    assert set(taken(range(count), items)) <= set(taken(range(count), items + more))


def test_every_item_has_the_same_chance() -> None:
    """Chi-square over the items, and over pairs of neighbours, of many seeds; 5 standard deviations."""
    items, of, seeds = 10, 40, 4000
    samples = [set(taken(range(of), items, seed)) for seed in range(seeds)]
    counts = [sum(number in sample for sample in samples) for number in range(of)]
    share = items / of
    deviations = [(count - seeds * share) / math.sqrt(seeds * share * (1 - share)) for count in counts]
    # the counts of a sample add up to its size: one degree of freedom less
    chi_square = sum(d * d for d in deviations) * (of - 1) / of
    assert chi_square == pytest.approx(of - 1, abs=5 * math.sqrt(2 * (of - 1)))
    pairs = sum(a in sample and b in sample for sample in samples for a, b in itertools.pairwise(range(of)))
    expected = seeds * (of - 1) * share * (items - 1) / (of - 1)
    assert pairs == pytest.approx(expected, rel=0.02)


def test_another_seed_takes_others() -> None:
    first, second = set(taken(range(10_000), 1000, 1)), set(taken(range(10_000), 1000, 2))
    assert 60 < len(first & second) < 140


def test_a_sample_of_consecutive_numbers_is_spread_evenly() -> None:
    found = taken(range(100_000), 10_000, 5)
    tenths = [sum(tenth * 10_000 <= number < (tenth + 1) * 10_000 for number in found) for tenth in range(10)]
    assert all(900 <= count <= 1100 for count in tenths)
