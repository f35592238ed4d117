"""What the operator tells in the course of whole batches: of its own work, how late, in how many lines and series."""

import logging
from collections import Counter

import pytest

from llmbatch_contract.status import Phase
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Distribution, Point
from llmbatch_telemetry.names import Metric, SpanName
from operator_tests.operator_builders import REF
from operator_tests.world import World
from operator_tests.world_cluster import Fault


def _points(world: World, metric: Metric) -> dict[tuple[str, ...], Point]:
    collected = world.operator.recorder.telemetry.meters.collect()
    return {point.attributes: point for point in collected if point.metric is metric}


def _distribution(world: World, metric: Metric, *attributes: str) -> Distribution:
    value = _points(world, metric)[attributes].value
    assert isinstance(value, Distribution)
    return value


def test_looks_and_what_they_did_are_counted() -> None:
    world = World()
    world.run_to_the_end()
    actions = {attributes: point.value for attributes, point in _points(world, names.ACTIONS).items()}
    assert actions == {("CreateJob", "done"): 3}
    changed = _distribution(world, names.RECONCILE_DURATION, "changed")
    assert changed.count >= 4, "three Jobs and an end"
    assert _distribution(world, names.RECONCILE_DURATION, "unchanged").count > 0


def test_looks_that_fail_are_counted_as_errors() -> None:
    world = World()
    world.cluster.faults.extend([Fault.REFUSED])
    world.run_to_the_end()
    assert _distribution(world, names.RECONCILE_DURATION, "error").count == 1
    assert _points(world, names.ACTIONS)["CreateJob", "failed"].value == 1
    errors = [span.error for span in world.operator.spans if span.name == SpanName.RECONCILE and span.error]
    assert errors == ["the API server answered 500"]


def test_reports_are_shown_by_the_status_within_seconds() -> None:
    world = World(sizes=(40, 40))
    world.run_to_the_end()
    staleness = _distribution(world, names.STATUS_STALENESS)
    assert staleness.count >= 5
    assert 0 < staleness.sum / staleness.count <= 3, "a status is written every two seconds"


def test_the_trace_of_a_batch_tells_its_story() -> None:
    world = World(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    world.until(Phase.RUNNING)
    [pod, *_] = [pod for pod in world.alive() if pod.phase == "Running"] or world.alive()
    world.seconds(1)
    world.pods.kill(pod)
    world.seconds(300)
    looks = [span for span in world.operator.spans if span.name == SpanName.RECONCILE]
    did = [action for span in looks for action in span.attributes.get(names.ACTION, ())]  # type: ignore[union-attr]
    assert did == ["CreateJob plan", "CreateJob shard 2 x 2", "CreateJob finalize"]
    assert {span.trace_id for span in world.operator.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    [lost] = [span for span in world.operator.spans if span.name == SpanName.SHARD]
    assert (lost.error, lost.attributes[names.POD]) == ("Error, exit code 137", pod.name)
    [root] = [span for span in world.operator.spans if span.name == SpanName.BATCH]
    assert (root.parent_id, root.attributes[names.PHASE]) == ("b7ad6b7169203331", "Succeeded")


def test_what_fails_for_long_costs_few_spans_and_lines(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.cluster.faults.extend([Fault.REFUSED] * 100)
    with caplog.at_level(logging.INFO):
        world.run_to_the_end()
    assert len(world.operator.spans) < 12
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert len(caplog.records) < 20


def test_a_large_batch_costs_few_lines_and_no_more_series_than_a_small_one(caplog: pytest.LogCaptureFixture) -> None:
    series = []
    for sizes in ((3,), (40,) * 100):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            world = World(sizes=sizes, parallelism=20)
            world.run_to_the_end()
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) < 20, lines
        assert {(r.__dict__["namespace"], r.__dict__["batch"]) for r in caplog.records} == {(REF.namespace, REF.name)}
        series.append(Counter(p.metric.name for p in world.operator.recorder.telemetry.meters.collect()))
    few, many = series
    assert few == many
    assert many.total() < 40


def test_an_end_that_was_written_before_a_restart_is_told_after_it() -> None:
    world = World()
    world.until(Phase.FINALIZING)
    world.seconds(1)
    while not world.status.phase.is_final:
        world.cluster.faults.append(Fault.CRASH_AFTER)
        world.second()
    world.cluster.faults.clear()
    world.seconds(5)
    world.second()
    roots = [span for span in world.operator.spans if span.name == SpanName.BATCH]
    assert [root.attributes[names.PHASE] for root in roots] == [world.status.phase.value]
