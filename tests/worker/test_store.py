"""The store on real folders, full disks and read-only places. What holds for all stores is in test_store_promises.py.

Whatever could hang runs in a process of its own, with a time limit.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import (
    InputChangedError,
    InputError,
    LLMBatchError,
    StoreError,
    StoreMissingError,
)
from llmbatch_worker.stores.local import LOCAL, RESTORE, LocalStore
from llmbatch_worker.stores.uris import local_path, split_uri

_ODD_NAMES = [
    *("a b.csv", " lead", "trail ", "100%.csv", "a%20b.csv", "a%2Fb", "a?b.csv", "a#b.csv", "a\\b.csv", "a*b", "~a"),
    *("{a}", "[a]", "a|b", "a'b", 'a"b', "a:b", "a&b", "^a", "`a`", "<a>", ".hidden", "a..b", "...", "日本.jsonl"),
    *("\u00e9.csv", "e\u0301.csv", "🙂.jsonl", "n" * 250),
]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path.as_uri())


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Reading and writing


@pytest.mark.parametrize("name", _ODD_NAMES)
def test_a_file_is_found_whatever_characters_its_name_has(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"hello")
    folder, object_name = split_uri((tmp_path / name).as_uri())
    store = LocalStore(folder, create=False)
    info = store.info(object_name)
    assert b"".join(store.blocks(object_name, 0, info.size, info.etag)) == store.read(object_name) == b"hello"
    assert store.where(object_name) == str(tmp_path / name)


@pytest.mark.parametrize("name", _ODD_NAMES)
def test_an_object_is_stored_under_its_very_name(name: str, store: LocalStore, tmp_path: Path) -> None:
    store.put(f"{name}/{name}", b"hello")
    assert (tmp_path / name / name).read_bytes() == b"hello"
    assert store.names("") == [f"{name}/{name}"]
    assert not store.create(f"{name}/{name}", b"")


@pytest.mark.parametrize("name", ["a b", "a#b", "a%20b", "a?b", "é"])
def test_a_folder_is_found_whatever_characters_its_name_has(name: str, tmp_path: Path) -> None:
    store = LocalStore((tmp_path / name).as_uri())
    store.put("x/y", b"1")
    assert (tmp_path / name / "x" / "y").read_bytes() == b"1"
    assert store.where("x/y") == str(tmp_path / name / "x" / "y")


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x7fb", "items.csv#1"])
def test_a_name_that_cannot_be_read_is_a_clear_error(name: str, store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(LLMBatchError) as caught:
        store.info(name)
    assert str(caught.value).startswith("cannot read ")
    assert "LocalFileSystem" not in str(caught.value)


# Blocks


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks")


@settings(max_examples=100, deadline=None)
@given(data=st.binary(min_size=1, max_size=300), block=st.integers(1, 100), ends=st.tuples(*[st.integers(0, 300)] * 2))
def test_blocks_are_the_bytes_of_the_range_and_no_larger_than_asked(
    shared_folder: Path, data: bytes, block: int, ends: tuple[int, int]
) -> None:
    start, end = sorted(min(e, len(data)) for e in ends)
    store = LocalStore(shared_folder.as_uri())
    store.put("data", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmbatch_worker.stores.local.BLOCK_BYTES", block)
        blocks = list(store.blocks("data", start, end, store.info("data").etag))
    assert b"".join(blocks) == data[start:end]
    assert all(0 < len(b) <= block for b in blocks)


def test_blocks_of_an_object_that_changed_are_refused(store: LocalStore, tmp_path: Path) -> None:
    store.put("data", b"hello")
    etag = store.info("data").etag
    store.put("data", b"jello")
    with pytest.raises(InputChangedError) as caught:
        list(store.blocks("data", 0, 5, etag))
    assert str(caught.value) == (f"{tmp_path}/data has changed since it was planned; {RESTORE}")


def test_a_change_between_two_blocks_is_noticed(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmbatch_worker.stores.local.BLOCK_BYTES", 2)
    store.put("data", b"hello")
    blocks = store.blocks("data", 0, 5, store.info("data").etag)
    assert next(blocks) == b"he"
    store.put("data", b"jello")
    with pytest.raises(InputChangedError):
        next(blocks)


def test_an_object_that_is_touched_but_the_same_version_is_read(store: LocalStore) -> None:
    store.put("data", b"hello")
    etag = store.info("data").etag
    assert store.info("data").etag == etag
    assert b"".join(store.blocks("data", 0, 5, etag)) == b"hello"


# The writer


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"a", b"", b"b\n"], [b"x" * (1 << 20)] * 20], ids=len)
def test_a_written_object_is_whole(store: LocalStore, tmp_path: Path, pieces: list[bytes]) -> None:
    with store.writer("out/results.jsonl") as write:
        for piece in pieces:
            write(piece)
    assert store.read("out/results.jsonl") == b"".join(pieces)
    assert files_below(tmp_path) == ["out/results.jsonl"]


@pytest.mark.parametrize("megabytes", [0, 1, 20])
def test_an_object_appears_only_when_it_is_whole(store: LocalStore, tmp_path: Path, megabytes: int) -> None:
    with store.writer("results.jsonl") as write:
        for _ in range(megabytes):
            write(b"x" * (1 << 20))
        assert not (tmp_path / "results.jsonl").exists()
        assert store.names("") == []
    assert store.names("") == ["results.jsonl"]


@pytest.mark.parametrize("megabytes", [0, 1, 20])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError])
def test_an_error_inside_leaves_nothing_visible(
    store: LocalStore, tmp_path: Path, error: type[BaseException], megabytes: int
) -> None:
    with pytest.raises(error), store.writer("results.jsonl") as write:
        for _ in range(megabytes):
            write(b"x" * (1 << 20))
        raise error
    assert store.names("") == []
    assert not (tmp_path / "results.jsonl").exists()


def test_an_error_of_something_else_inside_is_not_blamed_on_the_store(store: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), store.writer("results.jsonl"):
        (tmp_path / "elsewhere").read_bytes()


# Errors


def test_a_folder_in_place_of_a_file_is_called_a_folder(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(StoreError, match=f"cannot read {tmp_path}/data: .*folder"):
        store.info("data")


def test_a_folder_that_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    uri = (tmp_path / "not" / "there").as_uri()
    with pytest.raises(StoreMissingError) as caught:
        LocalStore(uri, create=False)
    assert str(caught.value) == f"{tmp_path}/not/there is not a folder"
    LocalStore(uri).put("a", b"1")
    assert LocalStore(uri, create=False).names("") == ["a"]


def test_a_file_in_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=f"^cannot open the folder {tmp_path}/file: ") as caught:
        LocalStore((tmp_path / "file").as_uri())
    assert "LocalFileSystem" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("file/below", "Not a directory", id="below a file"),
        pytest.param("folder", "Is a directory", id="over a folder"),
        pytest.param("n" * 300, "File name too long", id="a name too long"),
    ],
)
def test_an_object_that_cannot_be_written_says_why(store: LocalStore, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError) as caught:
        store.put(name, b"1")
    assert str(caught.value) == f"cannot write {tmp_path}/{name}: {reason}"


@pytest.mark.parametrize("name", ["../outside", "a/../../outside"])
def test_a_name_cannot_lead_out_of_the_store(name: str, tmp_path: Path) -> None:
    inner = LocalStore((tmp_path / "inner").as_uri())
    with pytest.raises((StoreError, ValueError)):
        inner.put(name, b"1")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("uri", ["s3://bucket/key", "https://example.com/a", "tickets.csv", ""])
def test_a_uri_of_another_scheme_says_what_to_give(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        local_path(uri)
    assert str(caught.value) == f"{uri} is not supported: give a path or a file:// URI"


@pytest.mark.parametrize("uri", ["file://data/tickets.csv", "file:tickets.csv"])
def test_a_file_uri_of_which_a_part_would_be_dropped_is_refused(uri: str) -> None:
    with pytest.raises(InputError):
        local_path(uri)


@pytest.mark.parametrize("name", ["a#b.csv", "a?b.csv", "a b.csv"])
def test_a_file_uri_is_taken_to_the_letter(name: str) -> None:
    assert local_path(f"file:///data/{name}") == Path("/data") / name


# Disks that are full or read-only, mounted in a process of its own

_ATTEMPT = """
import os, sys
from pathlib import Path
from llmbatch_contract.errors import StoreError
from llmbatch_worker.stores.local import LocalStore

action, folder, size = sys.argv[1], sys.argv[2], int(sys.argv[3])

def attempt(store):
    match action:
        case "put":
            store.put("shards/part", b"x" * size)
        case "create":
            store.create("shards/part", b"x" * size)
        case "open below":
            LocalStore(f"file://{folder}/new")
        case "write":
            with store.writer("shards/part") as write:
                for _ in range(max(1, size >> 16)):
                    write(b"x" * (1 << 16))

if not os.statvfs(folder).f_flag & os.ST_RDONLY:
    LocalStore(f"file://{folder}").put("kept", b"kept")
try:
    attempt(LocalStore(f"file://{folder}"))
except StoreError as error:
    print(type(error).__name__, error, sep=": ")
print(sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file()))
"""


def _private_mounts() -> list[str]:
    """The command that runs another one with mounts of its own."""
    command = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    works = shutil.which("unshare") and subprocess.run([*command, "true"], check=False, timeout=10).returncode == 0
    if not works and not os.environ.get("LLMBATCH_REQUIRE_CLUSTER"):
        pytest.skip("needs the right to mount (unshare -m)")
    return command


def attempt_on(folder: Path, mount_options: str, action: str, size: int) -> list[str]:
    """What an attempt to write says, on a file system mounted with these options; then the files that are there."""
    script = 'mount -t tmpfs -o "$1" none "$2" && exec "$3" -c "$4" "$5" "$2" "$6"'
    arguments = ["sh", mount_options, str(folder), sys.executable, _ATTEMPT, action, str(size)]
    command = [*_private_mounts(), "sh", "-c", script, *arguments]
    done = subprocess.run(command, check=True, timeout=20, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("action", "size"),
    [
        pytest.param("put", 200_000, id="put"),
        pytest.param("create", 200_000, id="create"),
        pytest.param("write", 200_000, id="write less than the buffer"),
        pytest.param("write", 20 << 20, id="write more than the buffer"),
    ],
)
def test_a_full_disk_is_a_clear_error_and_leaves_only_what_was_there(tmp_path: Path, action: str, size: int) -> None:
    assert attempt_on(tmp_path, "size=64k", action, size) == [
        f"StoreFullError: cannot write {tmp_path}/shards/part: no space left; "
        "free some and run again, what was written so far is kept",
        "['kept']",
    ]


@pytest.mark.parametrize("action", ["put", "create", "write"])
def test_a_read_only_folder_is_a_clear_error(tmp_path: Path, action: str) -> None:
    assert attempt_on(tmp_path, "ro,size=64k", action, 100) == [
        f"StoreReadOnlyError: cannot write {tmp_path}/shards/part: permission denied or read-only; "
        "give write access or another place",
        "[]",
    ]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    assert attempt_on(tmp_path, "ro,size=64k", "open below", 0) == [
        f"StoreReadOnlyError: cannot open the folder {tmp_path}/new: permission denied or read-only; "
        "give write access or another place",
        "[]",
    ]


def test_a_pipe_in_place_of_a_file_is_an_error_rather_than_a_wait_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import sys\nfrom llmbatch_worker.stores.local import LocalStore\n"
        "from llmbatch_contract.errors import LLMBatchError\n"
        "try: LocalStore(sys.argv[1]).info('pipe')\n"
        "except LLMBatchError: print('refused')"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path.as_uri()], timeout=4, check=True, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        pytest.fail("reading a pipe never returns")
    assert done.stdout == "refused\n"


def test_a_link_to_what_is_not_there_is_called_one(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").symlink_to(tmp_path / "gone.jsonl")
    with pytest.raises(StoreMissingError, match=r"items\.jsonl: it is a link to what is not there$"):
        store.info("items.jsonl")


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_an_empty_input(tmp_path: Path) -> None:
    (tmp_path / "items").symlink_to(tmp_path / "items")
    with pytest.raises(StoreError, match=r"^cannot list .*/items/: Too many levels of symbolic links$"):
        list(LOCAL.find_inputs(f"{(tmp_path / 'items').as_uri()}/"))


def test_a_folder_that_is_made_anew_is_read_anew(tmp_path: Path) -> None:
    folder = tmp_path / "items"
    for content in (b"one", b"two"):
        folder.mkdir()
        (folder / "a.jsonl").write_bytes(content)
        store, name = LOCAL.open_input((folder / "a.jsonl").as_uri())
        assert store.read(name) == content
        shutil.rmtree(folder)
