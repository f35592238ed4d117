"""gzip and zstd, unpacked as they are read."""

import gzip
import random
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import InputError
from llmbatch_contract.input import Packing
from llmbatch_worker.inputs.unpacking import packing_of, unpacked

_BYTES = bytes(range(256)) * 4
_NOISE = random.Random(0).randbytes(400_000)
_LONG_NOISE = random.Random(1).randbytes(4_000_000)
_SKIPPED = b"\x5a\x2a\x4d\x18" + (300_000).to_bytes(4, "little") + b"x" * 300_000


def blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def unpack(data: bytes, packing: Packing, size: int = 1 << 20) -> bytes:
    return b"".join(unpacked(blocks(data, size), packing, "s3://b/items"))


def pack(data: bytes, packing: Packing) -> bytes:
    if packing is Packing.NONE:
        return data
    return gzip.compress(data, mtime=0) if packing is Packing.GZIP else zstd(data)


def zstd(data: bytes, **settings: object) -> bytes:
    """A frame as the zstd command writes it: with a checksum, its length unknown beforehand."""
    packer = zstandard.ZstdCompressor(write_checksum=True, **settings).compressobj()  # type: ignore[arg-type]
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("head", "packing"),
    [
        pytest.param(gzip.compress(b""), Packing.GZIP, id="gzip"),
        pytest.param(zstd(b"x"), Packing.ZSTD, id="zstd"),
        pytest.param(_SKIPPED[:20], Packing.ZSTD, id="zstd that begins with a frame to pass over"),
        pytest.param(b'{"a":1}\n', Packing.NONE, id="text"),
        pytest.param(b"PAR1", Packing.NONE, id="parquet"),
        pytest.param(b"\x1f", Packing.NONE, id="the half of a magic number"),
        pytest.param(b"", Packing.NONE, id="nothing"),
    ],
)
def test_a_packing_is_known_by_its_first_bytes(head: bytes, packing: Packing) -> None:
    assert packing_of(head) is packing


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    size=st.integers(1, 99),
    packing=st.sampled_from(Packing),
)
def test_what_was_packed_in_parts_comes_back_whatever_the_blocks(
    parts: list[bytes], size: int, packing: Packing
) -> None:
    assert unpack(b"".join(pack(part, packing) for part in parts), packing, size) == b"".join(parts)


@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(zstandard.compress(_NOISE), id="length known beforehand"),
        pytest.param(zstandard.ZstdCompressor(write_content_size=False).compress(_NOISE), id="length not told"),
        pytest.param(zstd(_NOISE, level=19), id="level 19"),
        pytest.param(_SKIPPED + zstd(_NOISE[:999]) + _SKIPPED + zstd(_NOISE[999:]), id="frames to pass over"),
        pytest.param(zstd(b"") + zstd(_NOISE) + zstd(b""), id="empty frames"),
    ],
)
def test_every_kind_of_zstd_frame_is_read(packed: bytes, size: int) -> None:
    assert unpack(packed, Packing.ZSTD, size) == _NOISE


@pytest.mark.parametrize("zeros", [1, 512, 3000])
def test_zeros_between_and_after_gzip_members_are_passed_over(zeros: int) -> None:
    padded = (gzip.compress(b"a") + b"\0" * zeros) * 2
    assert unpack(padded, Packing.GZIP, 500) == b"aa"


@pytest.mark.parametrize("packing", [Packing.GZIP, Packing.ZSTD])
def test_a_bomb_comes_in_pieces_of_bounded_size(packing: Packing) -> None:
    packed = pack(b"\0" * (100 << 20), packing)
    sizes = [len(piece) for piece in unpacked([packed], packing, "bomb")]
    assert sum(sizes) == 100 << 20
    assert max(sizes) <= 4 << 20


@settings(max_examples=150, deadline=None)
@given(data=st.data(), packing=st.sampled_from([Packing.GZIP, Packing.ZSTD]), parts=st.integers(1, 3))
def test_what_was_cut_off_says_so(data: st.DataObject, packing: Packing, parts: int) -> None:
    part = pack(_BYTES, packing)
    cut = data.draw(st.integers(1, len(part) - 1))
    with pytest.raises(InputError) as caught:
        unpack((part * parts)[:-cut], packing, data.draw(st.integers(1, 200)))
    assert str(caught.value) == f"s3://b/items: the {packing.value} file ends too early; is the upload complete?"


@settings(max_examples=150, deadline=None)
@given(data=st.data(), packing=st.sampled_from([Packing.GZIP, Packing.ZSTD]))
def test_no_damage_passes_for_data(data: st.DataObject, packing: Packing) -> None:
    """A bit of the header may make no difference; anything else must be found out."""
    packed = bytearray(pack(_NOISE[:2000], packing))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert unpack(bytes(packed), packing) == _NOISE[:2000]
    except InputError as error:
        assert str(error).startswith("s3://b/items: ")


@settings(max_examples=100, deadline=None)
@given(junk=st.binary(min_size=1, max_size=100), packing=st.sampled_from([Packing.GZIP, Packing.ZSTD]))
def test_junk_is_an_error_of_the_input(junk: bytes, packing: Packing) -> None:
    if packing_of(junk) is Packing.NONE and junk.strip(b"\0"):
        with pytest.raises(InputError):
            unpack(junk, packing)


_TRAINED = zstandard.train_dictionary(1000, [b"hello world %d foo bar" % n for n in range(2000)])
_WIDE = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        pytest.param(
            zstd(b"a") + b"\0\0",
            r"byte 14 begins no zstd frame; is there something behind the packed data\?",
            id="something behind the data",
        ),
        pytest.param(
            zstandard.ZstdCompressor(compression_params=_WIDE).compressobj().compress(_NOISE),
            "needs 256 MiB of memory to unpack, 128 MiB are allowed; pack it with `zstd` without --long",
            id="a window that is too large",
        ),
        pytest.param(
            zstandard.ZstdCompressor(dict_data=_TRAINED).compress(b"hello world 5 foo"),
            "was packed with a dictionary, which is not here; pack it without one",
            id="a dictionary",
        ),
        pytest.param(
            zstd(b"abc")[:-1] + b"\0",
            "not valid zstd, near byte 16: Restored data doesn't match checksum; copy or pack the file again",
            id="a checksum that does not match",
        ),
    ],
)
def test_zstd_that_cannot_be_unpacked_says_what_to_do(packed: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^s3://b/items: {message}$"):
        unpack(packed, Packing.ZSTD)


def test_gzip_that_cannot_be_unpacked_says_what_to_do() -> None:
    packed = bytearray(gzip.compress(_NOISE[:1000]))
    packed[-8] ^= 1
    with pytest.raises(
        InputError, match=r"^s3://b/items: not valid gzip: incorrect data check; copy or pack the file again$"
    ):
        unpack(bytes(packed), Packing.GZIP)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    asked: list[int] = []

    def source() -> Iterator[bytes]:
        packed = zstd(_LONG_NOISE)
        for at in range(0, len(packed), 1000):
            asked.append(at)
            yield packed[at : at + 1000]

    pieces = unpacked(source(), Packing.ZSTD, "x")
    assert not asked
    first = next(pieces)
    assert len(asked) <= len(first) / 1000 + 2
    assert first + b"".join(pieces) == _LONG_NOISE
