"""What an input's URI stands for: in folders, volumes and S3 servers, with the same names and the same rules."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmbatch_contract.errors import InputError, StoreError, StoreMissingError
from llmbatch_worker.stores.local import LOCAL, LocalStore
from llmbatch_worker.stores.protocol import Found, Store
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.stores.volumes import VolumeStore, find_in_volume
from s3_servers import Bucket, new_bucket

pytest_plugins = ["s3_fixture"]


class Place:
    """Somewhere with names, and what a pattern there stands for."""

    def __init__(self, store: Store, find: Callable[[str], list[Found]], name_of: Callable[[str], str]) -> None:
        self.store, self._find, self._name_of = store, find, name_of

    def found(self, pattern: str) -> list[str]:
        """Names, in the order in which they come."""
        return [self._name_of(each.uri) for each in self._find(pattern)]

    def infos(self, pattern: str) -> list[Found]:
        return self._find(pattern)


@pytest.fixture(params=["folder", "volume", "moto", "versitygw"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        match request.param:
            case "folder":
                start = f"{tmp_path.as_uri()}/"
                yield Place(
                    LocalStore(tmp_path.as_uri()),
                    lambda pattern: list(LOCAL.find_inputs(start + pattern)),
                    lambda uri: LOCAL.open_input(uri)[0].where(LOCAL.open_input(uri)[1]).removeprefix(f"{tmp_path}/"),
                )
            case "volume":
                yield Place(
                    VolumeStore("data", "", tmp_path, Troubles()),
                    lambda pattern: list(find_in_volume(f"pvc:/data/{pattern}", tmp_path, Troubles())),
                    lambda uri: uri.removeprefix("pvc:/data/"),
                )
            case server:
                bucket = stack.enter_context(new_bucket(request.getfixturevalue(f"{server}_url")))
                yield Place(
                    bucket.store(),
                    lambda pattern: list(bucket.stores().find_inputs(bucket.uri(pattern))),
                    lambda uri: uri.removeprefix(bucket.uri()),
                )


def _fill(place: Place, *names: str) -> None:
    for name in names:
        place.store.put(name, b"x")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        pytest.param("2026/*.csv", ["2026/a.csv", "2026/b.csv"], id="*"),
        pytest.param("2026/?.csv", ["2026/a.csv", "2026/b.csv"], id="?"),
        pytest.param("2026/", ["2026/a.csv", "2026/b.csv", "2026/c/d.csv", "2026/e.txt"], id="a folder"),
        pytest.param("**/*.csv", ["2025/z.csv", "2026/a.csv", "2026/b.csv", "2026/c/d.csv"], id="**"),
        pytest.param("202*/?.csv", ["2025/z.csv", "2026/a.csv", "2026/b.csv"], id="folders"),
        pytest.param("2026/a.csv", ["2026/a.csv"], id="one object"),
    ],
)
def test_the_objects_of_a_pattern_come_in_the_order_of_their_names(
    place: Place, pattern: str, found: list[str]
) -> None:
    _fill(
        place, "2026/b.csv", "2026/c/d.csv", "2025/z.csv", "2026/a.csv", "2026/e.txt", "2026/_tmp/x.csv", "2026/.h.csv"
    )
    assert place.found(pattern) == found


def test_the_order_is_that_of_code_points(place: Place) -> None:
    names = ["d/B", "d/a", "d/a-b", "d/a/x", "d/a0", "d/é", "d/日", "d/🙂"]
    _fill(place, *reversed([name for name in names if name != "d/a"]))
    assert place.found("d/") == [name for name in names if name != "d/a"]


_ODD_NAMES = [
    *("a b", "100%", "a%20b", "a%2Fb", "a#b", "a\\b", "~a", "{a}", "[a]", "a|b", "a'b", 'a"b', "a:b", "a&b", "a+b"),
    *(
        "^a",
        "`a`",
        "<a>",
        "a..b",
        "...",
        "日本",
        "\u00e9",
        "e\u0301",
        "🙂",
        "a;b",
        "a=b",
        "$a",
        "!a",
        "(a)",
        "a,b",
        "@a",
    ),
]


def test_names_with_odd_characters_are_found_read_listed_and_removed(place: Place) -> None:
    names = sorted(f"odd/{name}/{name}.csv" for name in _ODD_NAMES if not name.startswith("."))
    for name in names:
        assert place.store.create(name, name.encode())
    assert place.store.names("odd/") == names
    assert place.found("odd/**/*.csv") == names
    for name in names:
        assert place.store.read(name) == name.encode()
    place.store.remove(names)
    assert place.store.names("") == []


@pytest.mark.parametrize("name", ["a*b.csv", "a?b.csv"])
def test_a_name_with_a_wildcard_in_it_is_meant_by_brackets(place: Place, name: str) -> None:
    _fill(place, f"d/{name}", "d/axb.csv")
    escaped = name.replace("*", "[*]").replace("?", "[?]")
    assert place.found(f"d/{escaped}") == [f"d/{name}"]


def test_what_is_found_has_size_and_version(place: Place) -> None:
    place.store.put("d/a.csv", b"hello")
    (by_name,), (by_pattern,) = place.infos("d/a.csv"), place.infos("d/*.csv")
    assert by_name == by_pattern
    assert (by_name.info.size, by_name.info) == (5, place.store.info("d/a.csv"))


@pytest.mark.parametrize("pattern", ["d/b.csv", "d/*.json", "nothing/", "nothing/*.csv", "d/_*"])
def test_what_stands_for_nothing_says_what_was_looked_for(place: Place, pattern: str) -> None:
    _fill(place, "d/a.csv")
    with pytest.raises(StoreMissingError) as caught:
        place.found(pattern)
    assert pattern in str(caught.value) or "nothing is not a folder" in str(caught.value)


def test_two_stars_beside_other_characters_are_refused(place: Place) -> None:
    with pytest.raises(InputError, match="stands for folders"):
        place.found("d/**.csv")


# Object stores only


def test_marks_of_folders_are_no_objects(moto_s3: Bucket) -> None:
    for key in ("d/", "d/e/", "d/e/a.csv", "d/_x/"):
        moto_s3.put(key, b"" if key.endswith("/") else b"x")
    found = moto_s3.stores().find_inputs(moto_s3.uri("d/"))
    assert [each.uri for each in found] == [moto_s3.uri("d/e/a.csv")]


def test_more_than_a_page_is_found(moto_s3: Bucket) -> None:
    store = moto_s3.store("d")
    for number in range(1005):
        store.put(f"{number:05}", b"x")
    assert len(list(moto_s3.stores().find_inputs(moto_s3.uri("d/")))) == 1005
    assert len(store.names("")) == 1005
    assert store.names("0100") == ["01000", "01001", "01002", "01003", "01004"]
    store.remove(store.names(""))
    assert store.names("") == []


@pytest.mark.parametrize(
    "uri",
    [pytest.param("s3://bucket", id="a bucket without /"), pytest.param("s3://buck*/a.csv", id="a pattern as bucket")],
)
def test_a_bucket_is_named_in_full(uri: str, moto_s3: Bucket) -> None:
    with pytest.raises(InputError):
        list(moto_s3.stores().find_inputs(uri))


def test_a_whole_bucket_is_an_input(moto_s3: Bucket) -> None:
    moto_s3.put("a.csv", b"x")
    assert [each.uri for each in moto_s3.stores().find_inputs(moto_s3.uri())] == [moto_s3.uri("a.csv")]


@pytest.mark.parametrize("key", ["d//a.csv", "d/../a.csv", "d/a\tb.csv"])
def test_a_name_that_cannot_be_used_is_named(moto_s3: Bucket, key: str) -> None:
    moto_s3.put(key, b"x")
    for uri in (moto_s3.uri(key), moto_s3.uri("d/")):
        with pytest.raises(StoreError, match="has a name that cannot be used here") as caught:
            list(moto_s3.stores().find_inputs(uri))
        assert "Error" not in str(caught.value)


# Volumes only


def test_errors_on_a_volume_name_the_claim_and_the_path(tmp_path: Path) -> None:
    store = VolumeStore("data", "tickets", tmp_path, Troubles())
    for operation in (lambda: store.read("a.csv"), lambda: store.info("a.csv")):
        with pytest.raises(StoreMissingError) as caught:
            operation()
        assert str(caught.value) == (
            "cannot read PersistentVolumeClaim data, path tickets/a.csv: there is no such file"
        )


def test_a_link_out_of_the_volume_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "a.csv").symlink_to(tmp_path / "token")
    with pytest.raises(StoreError, match="a link out of the volume"):
        list(find_in_volume("pvc:/data/a.csv", tmp_path / "volume", Troubles()))
