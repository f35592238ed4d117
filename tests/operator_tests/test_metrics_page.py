"""The page that Prometheus reads, over HTTP, and read as Prometheus would."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from llmbatch_contract.usage import Usage
from llmbatch_operator.telemetry.page import MetricsPage
from llmbatch_telemetry import names
from llmbatch_telemetry.batches import BatchNumbers, points_of
from llmbatch_telemetry.meters import Meters

_OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


def _meters(batches: int = 1) -> Meters:
    meters = Meters(clock=lambda: 1000.0)
    meters.add(names.ACTIONS, 3, "CreateJob", "done")
    for seconds in (0.002, 0.002, 99.0):
        meters.record(names.RECONCILE_DURATION, seconds, "changed")
    meters.observe(lambda: [meters.point(names.STORE_USED, 12.0)])
    numbers = BatchNumbers(
        "team-a", 'a "b"\\c', 900.0, size=40, succeeded=28, failed={"timeout": 2}, usage=Usage(5, 4), cost=0.123457,
        currency="EUR", workers=3, in_flight=2, age_s=5,
    )  # fmt: skip
    for _ in range(batches):
        meters.observe(lambda: points_of(numbers))
    return meters


@asynccontextmanager
async def _reading(meters: Meters) -> AsyncIterator[httpx.AsyncClient]:
    page = MetricsPage(meters.collect)
    port = await page.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    await page.close()


@pytest.mark.parametrize("accept", ["*/*", _OPENMETRICS], ids=["text", "OpenMetrics"])
async def test_prometheus_reads_what_was_counted(accept: str) -> None:
    async with _reading(_meters()) as client:
        answer = await client.get("/metrics", headers={"Accept": accept})
    is_open = "openmetrics" in accept
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text" if is_open else "text/plain")
    read = read_openmetrics if is_open else read_text
    samples = {
        (s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in read(answer.text) for s in f.samples
    }
    batch = 'a "b"\\c'
    assert samples["llmbatch_operator_actions_total", "CreateJob", "done"] == 3
    assert samples["llmbatch_operator_store_used_bytes",] == 12
    assert samples["llmbatch_operator_reconcile_duration_seconds_bucket", "0.0025", "changed"] == 2
    assert samples["llmbatch_operator_reconcile_duration_seconds_bucket", "+Inf", "changed"] == 3
    assert samples["llmbatch_operator_reconcile_duration_seconds_sum", "changed"] == pytest.approx(99.004)
    assert samples["llmbatch_batch_cost_total", "team-a", batch, "EUR"] == 0.123457
    assert samples["llmbatch_batch_items_total", "team-a", batch, "timeout", "failed"] == 2
    assert samples["llmbatch_batch_size", "team-a", batch] == 40
    assert samples["llmbatch_batch_age_seconds", "team-a", batch] == 5


async def test_only_the_metrics_are_there_and_only_to_read() -> None:
    async with _reading(_meters()) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405
        assert (await client.head("/metrics")).status_code == 200


@pytest.mark.parametrize("accept", ["", "rubbish;;;", "application/openmetrics-text;version=abc"])
async def test_who_asks_for_something_odd_gets_text(accept: str) -> None:
    async with _reading(_meters()) as client:
        answer = await client.get("/metrics", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/plain")


async def test_names_are_those_that_opentelemetry_gives_them() -> None:
    async with _reading(_meters()) as client:
        text = (await client.get("/metrics")).text
    told = {family.name for family in read_text(text)}
    known = {names.prometheus_name(metric) for metric in names.METRICS}
    assert told <= {name.removesuffix("_total") for name in known} | known


async def test_reports_are_answered_while_hundreds_of_batches_are_put_into_words() -> None:
    """The loop is held up by no more than the other threads' turns, whatever the page takes."""
    latest = 0.0

    async def watch() -> None:
        nonlocal latest
        while True:
            start = time.monotonic()
            await asyncio.sleep(0.005)
            latest = max(latest, time.monotonic() - start)

    async with _reading(_meters(batches=1000)) as client:
        watching = asyncio.create_task(watch())
        start = time.monotonic()
        answer = await client.get("/metrics", timeout=30)
        took = time.monotonic() - start
        watching.cancel()
    assert answer.text.count("llmbatch_batch_") > 10_000
    assert latest < max(0.5, took / 2), f"the page took {took:.2f} s, and the loop waited for {latest:.2f} s"
