"""Who may do what: every call without a token, with a wrong one, for another batch, for one that was deleted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.coordinator_bench import FOREIGN, POD_A, POD_B, POD_MAILS, STRANGER, TICKETS, Bench, serving, signed
from llmbatch_contract.reports import Report
from llmbatch_contract.wire import ERROR_KIND
from llmbatch_telemetry import names

REPORT = Report(worker="pod-a").dump_json()

_CALLS = [
    pytest.param("POST", "/v1/report", id="a report"),
    pytest.param("GET", "/v1/objects/work/plan.json", id="reading an object"),
    pytest.param("HEAD", "/v1/objects/work/plan.json", id="looking at an object"),
    pytest.param("PUT", "/v1/objects/work/plan.json", id="writing an object"),
    pytest.param("GET", "/v1/objects/work", id="listing objects"),
    pytest.param("GET", "/v1/dead-letters/tickets", id="reading dead letters"),
]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving(tmp_path) as bench:
        await bench.put("plan.json", b"{}")
        await bench.put("errors.jsonl", b"dead\n", area="output")
        yield bench


@pytest.mark.parametrize(("method", "path"), _CALLS)
@pytest.mark.parametrize(
    ("token", "status"),
    [
        pytest.param(None, 401, id="no token"),
        pytest.param("", 401, id="an empty token"),
        pytest.param("made-up", 401, id="a token that is wrong or for another audience"),
        pytest.param(STRANGER, 403, id="a pod that works for no batch"),
    ],
)
async def test_only_pods_of_a_batch_are_answered(
    bench: Bench, method: str, path: str, token: str | None, status: int
) -> None:
    response = await bench.call(method, path, token=token, content=REPORT if method == "POST" else None)
    assert (response.status_code, response.headers[ERROR_KIND]) == (status, "LLMBatchError")
    assert not bench.desk.heard
    assert await bench.get("plan.json") == b"{}"


@pytest.mark.parametrize(("method", "path"), _CALLS)
async def test_a_pod_of_a_deleted_batch_hears_that_it_is_gone(bench: Bench, method: str, path: str) -> None:
    del bench.desk.batches["team-a", "tickets"]
    response = await bench.call(method, path, content=REPORT if method == "POST" else None)
    assert (response.status_code, response.headers[ERROR_KIND]) == (410, "BatchGoneError")


async def test_a_pod_of_a_batch_that_was_made_again_is_gone_too(bench: Bench) -> None:
    bench.desk.batches["team-a", "tickets"] = "uid-of-its-successor"
    assert await bench.get("plan.json") == 410


async def test_batches_do_not_see_each_others_objects(bench: Bench) -> None:
    for stranger in (POD_B, POD_MAILS):
        assert await bench.get("plan.json", token=stranger) == 404
        assert await bench.names(token=stranger) == []
        await bench.put("plan.json", b"mine", token=stranger)
    assert await bench.get("plan.json") == b"{}"
    assert await bench.names() == ["plan.json"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"../../{FOREIGN}/work/plan.json", id="upwards"),
        pytest.param(f"%2e%2e/%2e%2e/{FOREIGN}/work/plan.json", id="upwards, with escaped dots"),
        pytest.param(f"..%2f..%2f{FOREIGN}%2fwork%2fplan.json", id="upwards, with escaped slashes"),
        pytest.param(f"x/../../../{FOREIGN}/work/plan.json", id="down and upwards"),
        pytest.param("%00plan.json", id="a zero byte"),
        pytest.param("/etc/passwd", id="from the root"),
    ],
)
async def test_no_path_leads_to_another_batch(bench: Bench, path: str) -> None:
    await bench.put("plan.json", b"foreign", token=POD_B)
    for method in ("GET", "PUT"):
        response = await bench.call(method, f"/v1/objects/work/{path}", content=b"x")
        assert response.status_code in (400, 404)
    assert await bench.get("plan.json", token=POD_B) == b"foreign"


async def test_a_report_reaches_the_desk_with_the_pods_identity(bench: Bench) -> None:
    response = await bench.call("POST", "/v1/report", content=REPORT)
    assert (response.status_code, response.json()["grant"]) == (200, {"number": 7, "concurrency": 3, "budget": {}})
    [(who, report)] = bench.desk.heard
    assert (who.namespace, who.pod, who.batch, who.batch_uid) == ("team-a", POD_A, "tickets", TICKETS)
    assert report.worker == "pod-a"


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        pytest.param(b"", 400, "not a report", id="nothing"),
        pytest.param(b'{"inFlight": 1}', 400, "worker", id="a missing field"),
        pytest.param(b'{"worker": "w", "surprise": 1}', 400, "surprise", id="an unknown field"),
        pytest.param(b'{"worker": "' + b"x" * (1 << 20) + b'"}', 413, "too large", id="more than a megabyte"),
    ],
)
async def test_what_is_no_report_is_refused_with_a_sentence(bench: Bench, body: bytes, status: int, part: str) -> None:
    response = await bench.call("POST", "/v1/report", content=body)
    assert response.status_code == status
    assert part in response.text
    assert not bench.desk.heard


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v1/report", 405, id="getting a report"),
        pytest.param("DELETE", "/v1/objects/work/plan.json", 405, id="deleting an object"),
        pytest.param("PUT", "/v1/objects/work", 400, id="writing an area"),
        pytest.param("GET", "/v1/objects/secrets/plan.json", 400, id="an area that is not"),
        pytest.param("POST", "/v1/results/team-a/tickets/results.jsonl", 405, id="posting a result"),
        pytest.param("GET", "/", 404, id="the root"),
        pytest.param("GET", "/v1/nothing/here", 404, id="an unknown path"),
    ],
)
async def test_calls_that_are_not_are_refused(bench: Bench, method: str, path: str, status: int) -> None:
    assert (await bench.call(method, path)).status_code == status


async def test_health_needs_no_token(bench: Bench) -> None:
    assert (await bench.call("GET", "/healthz", token=None)).text == "ok"


# Dead letters


async def test_dead_letters_of_another_batch_of_the_namespace_are_read(bench: Bench) -> None:
    assert (await bench.call("GET", "/v1/dead-letters/tickets", token=POD_MAILS)).text == "dead\n"


@pytest.mark.parametrize("name", ["errors.jsonl.gz", "errors.jsonl.zst"])
async def test_dead_letters_that_are_packed_are_read_as_they_are(bench: Bench, name: str) -> None:
    await bench.put(name, b"packed", area="output", token=POD_MAILS)
    assert (await bench.call("GET", "/v1/dead-letters/mails", token=POD_A)).content == b"packed"


@pytest.mark.parametrize(
    ("token", "batch", "part"),
    [
        pytest.param(POD_A, "nothing", "no batch 'nothing' in namespace team-a", id="no such batch"),
        pytest.param(POD_A, "mails", "has to finish first", id="a batch that has not finished"),
        pytest.param(POD_B, "mails", "no batch 'mails' in namespace team-b", id="a batch of another namespace"),
        pytest.param(POD_B, "tickets", "has to finish first", id="a namesake in another namespace"),
    ],
)
async def test_dead_letters_that_are_not_there_are_a_missing_input(
    bench: Bench, token: str, batch: str, part: str
) -> None:
    response = await bench.call("GET", f"/v1/dead-letters/{batch}", token=token)
    assert (response.status_code, response.headers[ERROR_KIND]) == (404, "InputMissingError")
    assert part in response.text


# Results


async def test_results_are_read_with_a_signature_and_no_token(bench: Bench) -> None:
    response = await bench.call("GET", signed("team-a", "tickets", "errors.jsonl", TICKETS), token=None)
    assert (response.status_code, response.text, response.headers["content-length"]) == (200, "dead\n", "5")
    assert response.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        pytest.param("/v1/results/team-a/tickets/errors.jsonl", 403, "signature is wrong", id="no signature"),
        pytest.param(
            signed("team-a", "tickets", "errors.jsonl", FOREIGN), 403, "signature is wrong", id="another batch's key"
        ),
        pytest.param(
            signed("team-a", "tickets", "results.csv", TICKETS).replace("results.csv", "errors.jsonl"),
            403,
            "signature is wrong",
            id="a signature for another name",
        ),
        pytest.param(
            signed("team-a", "tickets", "errors.jsonl", TICKETS).replace("00300", "00301"),
            403,
            "signature is wrong",
            id="a later expiry than was signed",
        ),
        pytest.param(
            signed("team-a", "tickets", "errors.jsonl", TICKETS, 1_799_999_999), 403, "has expired", id="expired"
        ),
        pytest.param(
            signed("team-a", "tickets", "errors.jsonl", TICKETS, 1_800_000_601), 403, "600 seconds", id="too far ahead"
        ),
        pytest.param(
            signed("team-a", "nothing", "errors.jsonl", TICKETS), 403, "signature is wrong", id="no such batch"
        ),
        pytest.param(signed("team-a", "nothing", "errors.jsonl", ""), 403, "no such batch", id="the key of no batch"),
        pytest.param(
            "/v1/results/team-a/tickets/errors.jsonl?expires=x&signature=%C3%A9",
            403,
            "signature is wrong",
            id="not even the form of a signature",
        ),
        pytest.param(signed("team-a", "tickets", "results.csv", TICKETS), 404, "no such object", id="no such output"),
        pytest.param(signed("team-a", "tickets", "", TICKETS), 400, "not a name", id="no name"),
    ],
)
async def test_results_are_refused_with_a_sentence(bench: Bench, path: str, status: int, part: str) -> None:
    response = await bench.call("GET", path, token=None)
    assert response.status_code == status
    assert part in response.text


async def test_working_objects_are_no_results(bench: Bench) -> None:
    assert (await bench.call("GET", signed("team-a", "tickets", "plan.json", TICKETS), token=None)).status_code == 404
    upwards = signed("team-a", "tickets", "..%2Fwork%2Fplan.json", TICKETS)
    assert (await bench.call("GET", upwards, token=None)).status_code in (400, 403)


async def test_reports_are_counted_by_what_came_of_them(bench: Bench) -> None:
    for token in ("pod-a", "pod-a", "nobody"):
        await bench.call("POST", "/v1/report", content=REPORT, token=token)
    await bench.call("POST", "/v1/report", content=b"{}")
    bench.desk.batches.clear()
    await bench.call("POST", "/v1/report", content=REPORT)
    counted = {p.attributes[0]: p.value for p in bench.meters.collect() if p.metric is names.REPORTS}
    assert counted == {"answered": 2, "refused": 2, "gone": 1}
