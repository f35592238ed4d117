"""The ids of a batch's trace: fixed by its uid, or by whoever called."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmbatch_contract.trace import BatchTrace, span_id, trace_of, traceparent

_UID = "8d6c1f3e-0b2a-4c5d-9e7f-a1b2c3d4e5f6"
_OWN = _UID.replace("-", "")
_TRACE_ID, _SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_CALLER = f"00-{_TRACE_ID}-{_SPAN_ID}-01"

_IS_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_IS_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_names = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1)


def _hex(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


@pytest.mark.parametrize(
    ("uid", "trace_id"),
    [
        pytest.param(_UID, _OWN, id="a uid of Kubernetes is the trace id"),
        pytest.param(_UID.upper(), _OWN, id="in small letters"),
        pytest.param(_OWN, _OWN, id="the hex digits of a local run are, too"),
    ],
)
def test_the_trace_id_can_be_told_from_the_uid(uid: str, trace_id: str) -> None:
    trace = trace_of(uid)
    assert (trace.trace_id, trace.parent_id) == (trace_id, None)


@pytest.mark.parametrize("uid", ["", "dry-run", "0" * 32, "00000000-0000-0000-0000-000000000000", _OWN + "0", "ß" * 32])
def test_a_uid_that_is_no_trace_id_gets_one_all_the_same(uid: str) -> None:
    assert _IS_TRACE_ID.fullmatch(trace_of(uid).trace_id)


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(_CALLER, id="as in the standard"),
        pytest.param(f"00-{_TRACE_ID}-{_SPAN_ID}-00", id="not sampled by the caller"),
        pytest.param(f" {_CALLER}\n", id="with white space around"),
        pytest.param(f"cc-{_TRACE_ID}-{_SPAN_ID}-01", id="of a later version"),
        pytest.param(f"cc-{_TRACE_ID}-{_SPAN_ID}-01-what-comes-later", id="of a later version, with fields more"),
    ],
)
def test_the_callers_trace_is_taken(annotation: str) -> None:
    trace = trace_of(_UID, annotation)
    assert (trace.trace_id, trace.parent_id) == (_TRACE_ID, _SPAN_ID)
    assert trace.span_id == trace_of(_UID).span_id


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("00", id="too short"),
        pytest.param(f"ff-{_TRACE_ID}-{_SPAN_ID}-01", id="a version that never is"),
        pytest.param(f"00-{'0' * 32}-{_SPAN_ID}-01", id="a trace id of zeros"),
        pytest.param(f"00-{_TRACE_ID}-{'0' * 16}-01", id="a span id of zeros"),
        pytest.param(f"00-{_TRACE_ID.upper()}-{_SPAN_ID}-01", id="capital letters"),
        pytest.param(f"00-{_TRACE_ID}-{_SPAN_ID}", id="without flags"),
        pytest.param(f"00-{_TRACE_ID[1:]}-{_SPAN_ID}-01", id="a digit too few"),
        pytest.param(f"00-{_TRACE_ID}0-{_SPAN_ID}-01", id="a digit too many"),
        pytest.param(f"00-{_TRACE_ID[1:]}g-{_SPAN_ID}-01", id="a letter that is no digit"),
        pytest.param(f"{_CALLER}\n{_CALLER}", id="two lines"),
        pytest.param("٠٠-" + _CALLER[3:], id="digits of another script"),
    ],
)
def test_what_is_no_traceparent_counts_as_missing(annotation: str | None) -> None:
    assert trace_of(_UID, annotation) == trace_of(_UID)


@given(uid=st.text() | st.uuids().map(str), annotation=st.none() | st.text() | st.from_regex(r"[0-9a-f-]{55}"))
@example(uid="0" * 32, annotation=None)
@example(uid=_UID, annotation="\ud800")
def test_ids_are_always_valid_and_always_the_same(uid: str, annotation: str | None) -> None:
    trace = trace_of(uid, annotation)
    assert _IS_TRACE_ID.fullmatch(trace.trace_id)
    assert _IS_SPAN_ID.fullmatch(trace.span_id)
    assert trace.parent_id is None or _IS_SPAN_ID.fullmatch(trace.parent_id)
    assert trace_of(uid, annotation) == trace
    assert BatchTrace.load(trace.dump_json()) == trace


@given(one=st.uuids(), other=st.uuids())
def test_two_batches_have_two_traces(one: object, other: object) -> None:
    same = trace_of(str(one)), trace_of(str(other))
    assert (same[0].trace_id == same[1].trace_id) == (one == other)
    assert (same[0].span_id == same[1].span_id) == (one == other)


@given(_names, _names)
def test_different_names_have_different_span_ids(one: list[str], other: list[str]) -> None:
    assert _IS_SPAN_ID.fullmatch(span_id(*one))
    assert (span_id(*one) == span_id(*other)) == (one == other)


@pytest.mark.parametrize("trace_id", ["", "0af7", _TRACE_ID.upper(), _TRACE_ID + "0", "x" * 32])
def test_a_trace_with_a_wrong_id_is_refused(trace_id: str) -> None:
    with pytest.raises(ValidationError):
        BatchTrace(trace_id=trace_id, span_id=_SPAN_ID)


@given(trace_id=_hex(32).filter(_IS_TRACE_ID.fullmatch), parent=_hex(16).filter(_IS_SPAN_ID.fullmatch))
def test_what_is_sent_on_is_a_traceparent(trace_id: str, parent: str) -> None:
    trace = trace_of(_UID, traceparent(trace_id, parent))
    assert (trace.trace_id, trace.parent_id) == (trace_id, parent)
