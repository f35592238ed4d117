"""What benchmarks in a store reckon with: the log of the store, and the memory settings of the image."""

from collections import Counter

from benchmarks.object_store import count_requests
from benchmarks.store_requests import table


def _line(operation: str, answer: str = "200 -") -> str:
    return f"KEY bucket [22/November/2026:18:59:00 +0000] 127.0.0.1 KEY ID s3_{operation} a /bucket/a {answer} 0 100\n"


def test_requests_are_counted_by_what_they_cost() -> None:
    log = "".join(map(_line, ["PutObject", "UploadPart", "GetObject", "GetObject", "GetBucketAcl"]))
    refused = _line("PutObject", "412 PreconditionFailed")
    assert count_requests("log starts 2026-11-22\n" + log + refused) == {"put": 3, "get": 2, "other": 1}


def test_kinds_that_nobody_asked_for_have_no_column() -> None:
    counted = {"plan": Counter(get=2), "shards": Counter(put=30, list=1), "finish": Counter(get=7)}
    shown = table(counted, 1000)
    assert shown.columns == ("stage", "list", "get", "put", "all", "an item", "target")
    assert shown.rows[-1] == ("whole batch", "1", "9", "30", "40", "0.0400", "≤ 0.05")
