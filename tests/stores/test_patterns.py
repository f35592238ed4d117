"""Which names a pattern stands for, as a table, and against a slow model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import InputError
from llmbatch_worker.stores.patterns import Pattern, pattern_of


def matched(pattern: str, *names: str) -> list[str]:
    found = pattern_of(pattern)
    assert isinstance(found, Pattern)
    return [name for name in names if found.matches(name)]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        pytest.param("a/*.csv", ["a/b.csv", "a/x.y.csv"], ["a/b/c.csv", "b.csv", "a/b.csv.gz"], id="* inside a part"),
        pytest.param("a/b?.csv", ["a/b1.csv", "a/bé.csv"], ["a/b.csv", "a/b12.csv", "a/b/.csv"], id="? is a character"),
        pytest.param("a/", ["a/b", "a/b/c"], ["a", "b/a", "ab"], id="/ at the end is everything below"),
        pytest.param("a/**", ["a/b", "a/b/c"], ["a", "ab"], id="** at the end too"),
        pytest.param("a/**/x.csv", ["a/x.csv", "a/b/x.csv", "a/b/c/x.csv"], ["a/bx.csv", "x.csv"], id="** over parts"),
        pytest.param("**/*.csv", ["x.csv", "a/b/x.csv"], ["x.json"], id="** at the beginning"),
        pytest.param("", ["a", "a/b"], [], id="the whole bucket"),
        pytest.param("*/2026/*", ["a/2026/x"], ["2026/x", "a/2026/b/x", "a/2027/x"], id="* as a folder"),
        pytest.param("a/*", ["a/b"], ["a/_b", "a/.b"], id="hidden names are passed over"),
        pytest.param("a/", ["a/b"], ["a/_llmbatch/u/plan.json", "a/b/.git/x", "a/_SUCCESS"], id="with all below"),
        pytest.param("a/**/x", ["a/x", "a/b/x"], ["a/_b/x", "a/b/.c/x"], id="** leads into no hidden folder"),
        pytest.param("a/?x", ["a/bx"], ["a/_x", "a/.x"], id="? is no hidden beginning"),
        pytest.param("_a/.b/*", ["_a/.b/c"], ["_a/.b/_c"], id="before the first wildcard they count as any other"),
        pytest.param("a/_part*", ["a/_part1"], ["a/part1"], id="a pattern that begins so means them"),
        pytest.param("a/*/_x/*", ["a/b/_x/c"], ["a/_b/_x/c"], id="in the middle, too"),
        pytest.param("a/[*]b*", ["a/*b", "a/*bc"], ["a/xb"], id="[*] is a star"),
        pytest.param("a/[?]*[[]", ["a/?x["], ["a/yx["], id="[?] and [[] are what they show"),
        pytest.param("a/[bc]*", ["a/[bc]d"], ["a/bd"], id="other brackets are characters"),
        pytest.param("a.b/*+(c)", ["a.b/x+(c)"], ["aXb/x+(c)"], id="no character of regular expressions means more"),
        pytest.param("a/*", ["a/b\nc"], [], id="a line end is a character"),
    ],
)  # fmt: skip
def test_a_pattern_stands_for_these_names_and_no_others(pattern: str, matching: list[str], others: list[str]) -> None:
    assert matched(pattern, *matching, *others) == matching


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("a/b.csv", "a/b.csv"),
        ("a/[*].csv", "a/*.csv"),
        ("[[]x].csv", "[x].csv"),
        ("a[1].csv", "a[1].csv"),
        ("100%[?]", "100%?"),
    ],
)
def test_a_name_without_wildcards_is_one_object(name: str, meant: str) -> None:
    assert pattern_of(name) == meant


@pytest.mark.parametrize(
    ("pattern", "folder", "start", "depth"),
    [
        ("2026/part-*.csv", "2026/", "2026/part-", 1),
        ("2026/*/x", "2026/", "2026/", 2),
        ("2026/", "2026/", "2026/", None),
        ("*", "", "", 1),
        ("a/**/b*", "a/", "a/", None),
        ("[*]/b*", "*/", "*/b", 1),
    ],
)
def test_only_what_can_match_is_listed(pattern: str, folder: str, start: str, depth: int | None) -> None:
    found = pattern_of(pattern)
    assert isinstance(found, Pattern)
    assert (found.folder, found.start, found.depth) == (folder, start, depth)


@pytest.mark.parametrize("pattern", ["a/**.csv", "a/b**/c", "***"])
def test_two_stars_stand_alone(pattern: str) -> None:
    with pytest.raises(InputError) as caught:
        pattern_of(pattern)
    assert str(caught.value).startswith(f"{pattern}: ** stands for folders, alone between slashes, as in **/")


_PARTS = st.text("ab._", min_size=1, max_size=3)
_PATTERN_PARTS = st.one_of(
    st.just("**"), st.text("ab._*?", min_size=1, max_size=4).filter(lambda part: "**" not in part)
)


@settings(max_examples=400)
@given(
    parts=st.lists(_PARTS, min_size=1, max_size=4),
    wanted=st.lists(_PATTERN_PARTS, min_size=1, max_size=4),
)
def test_a_pattern_matches_as_the_slow_model_says(parts: list[str], wanted: list[str]) -> None:
    found = pattern_of("/".join(wanted))
    name = "/".join(parts)
    expected = _model(parts, wanted)
    assert (name == found if isinstance(found, str) else found.matches(name)) is expected
    if expected and isinstance(found, Pattern):
        assert name.startswith(found.start)
        assert found.may_match_below("/".join(parts[:-1])) or len(parts) == found.folder.count("/") + 1


def _model(parts: list[str], wanted: list[str]) -> bool:
    """Part by part, with a choice at each `**`."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        if not parts or parts[0].startswith((".", "_")):
            return bool(wanted[1:]) and _model(parts, wanted[1:])
        return _model(parts[1:], wanted) or _model(parts, wanted[1:]) or (len(wanted) == 1 and len(parts) == 1)
    return bool(parts) and _part(parts[0], wanted[0], is_first=True) and _model(parts[1:], wanted[1:])


def _part(part: str, wanted: str, *, is_first: bool) -> bool:
    if not wanted:
        return not part
    if wanted[0] in "*?" and is_first and part.startswith((".", "_")):
        return False
    if wanted[0] == "*":
        return _part(part, wanted[1:], is_first=False) or (bool(part) and _part(part[1:], wanted, is_first=False))
    return bool(part) and wanted[0] in ("?", part[0]) and _part(part[1:], wanted[1:], is_first=False)
