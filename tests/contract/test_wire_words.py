"""Names and signatures that the operator, its pods and the command line must agree on."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.spec import Metadata
from llmbatch_contract.wire import batch_key, is_signed, object_name, results_secret, signature

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UID = "3f2a1c9e-8d1b-4a6f-9c0e-1b2d3e4f5a6b"

_letters = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=63)
_batches = _letters.filter(lambda name: _DNS_NAME.fullmatch(name) is not None)
_uids = st.uuids().map(str)
_texts = st.text(max_size=200)
_times = st.integers(0, 2**40)


@pytest.mark.parametrize("what", ["config", "results", "run", "plan", "shards", "finalize"])
@given(batch=_batches, uid=_uids)
def test_an_object_of_a_batch_has_a_name_that_kubernetes_takes(what: str, batch: str, uid: str) -> None:
    name = object_name(batch, uid, what)
    assert Metadata(name=name).name == name
    assert len(name) <= 63


@pytest.mark.parametrize(
    ("batch", "name"),
    [
        pytest.param("tickets", "tickets-3f2a1c9e-shards", id="a short one is kept"),
        pytest.param("a" * 63, f"{'a' * 41}-3f2a1c9e-shards", id="a long one is cut"),
        pytest.param(f"{'a' * 40}-b", f"{'a' * 40}-3f2a1c9e-shards", id="no two hyphens where it is cut"),
        pytest.param(f"{'a' * 40}.b", f"{'a' * 40}-3f2a1c9e-shards", id="no dot where it is cut"),
    ],
)
def test_the_name_of_an_object_begins_with_that_of_its_batch(batch: str, name: str) -> None:
    assert object_name(batch, _UID, "shards") == name


def test_batches_of_the_same_name_have_objects_of_their_own() -> None:
    other = "77777777-8d1b-4a6f-9c0e-1b2d3e4f5a6b"
    assert results_secret("tickets", _UID) != results_secret("tickets", other)


@given(key=_texts, path=_texts, expires=_times)
def test_a_signature_is_right_for_what_was_signed(key: str, path: str, expires: int) -> None:
    assert is_signed(key, path, expires, signature(key, path, expires))


@given(key=_texts, path=_texts, expires=_times, other_key=_texts, other_path=_texts, other_time=_times)
def test_a_signature_is_wrong_for_anything_else(
    key: str, path: str, expires: int, other_key: str, other_path: str, other_time: int
) -> None:
    same = (key.rstrip("\0"), path, expires) == (other_key.rstrip("\0"), other_path, other_time)
    assert is_signed(other_key, other_path, other_time, signature(key, path, expires)) == same


@pytest.mark.parametrize("given_signature", ["", "0" * 64, "0" * 63, "ü" * 64, "\ud800"], ids=ascii)
def test_something_else_is_no_signature(given_signature: str) -> None:
    assert not is_signed("key", "/v1/results/a/b/c", 1, given_signature)


def test_each_batch_has_a_key_of_its_own() -> None:
    keys = {batch_key(master, uid) for master in (b"one", b"two") for uid in (_UID, "another")}
    assert len(keys) == 4
