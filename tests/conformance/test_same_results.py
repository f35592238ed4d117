"""The same items give the same results through every source and into every sink: against a model in plain Python."""

import asyncio
import itertools
import time
from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from builders import Document, batch
from conformance.model import error_rows, expected, found_errors, found_rows, result_rows, where_not_first
from conformance.places import Place, all_places
from conformance.scripted_endpoint import REFUSED, SCHEMA, scripted_endpoint
from conformance.sinks import ALL_SINKS, Sink
from conformance.sources import FORMS, PACKINGS, PROMPT, Source, item_of
from engine.own_engines import OwnWorkers
from llmbatch_contract import layout
from llmbatch_contract.errors import InputError
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import Limits
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.opening import OpenStores

pytest_plugins = ["s3_fixture"]

_NOW = "2026-01-01T00:00:00.000Z"
_PLACES = ["folder", "moto", "versitygw"]
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n",;\t'), max_size=6)
_FOLDERS = itertools.count()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, moto_url: str, versitygw_url: str) -> Iterator[dict[str, Place]]:
    """All places, and an endpoint that is none."""
    folder = tmp_path_factory.mktemp("conformance")
    with all_places(folder, moto_url, versitygw_url) as places, scripted_endpoint():
        yield places


@st.composite
def _items(draw: st.DrawFn) -> list[Document]:
    drawn = draw(st.lists(st.tuples(st.sampled_from(["k1", "k2", REFUSED]), _TEXT), min_size=2, max_size=25))
    return [item_of(number, kind, text) for number, (kind, text) in enumerate(drawn)]


@st.composite
def _sources(draw: st.DrawFn, form: str, items: int) -> Source:
    more: Document = {}
    if form != "openai" and draw(st.booleans()):
        more["idField"] = "id"
    if draw(st.integers(0, 3)) == 0:
        more["where"] = where_not_first(form)
    if draw(st.integers(0, 3)) == 0:
        more["limit"] = draw(st.integers(1, items))
    if draw(st.integers(0, 3)) == 0:
        more["sample"] = {"items": draw(st.integers(1, items)), "seed": draw(st.integers(0, 3))}
    cuts = draw(st.lists(st.integers(0, items), max_size=3))
    packings = draw(st.lists(st.sampled_from(["", *PACKINGS]), min_size=1, max_size=3))
    return Source(form, tuple(sorted(cuts)), tuple(packings), draw(st.integers(1, 10)), more)


@st.composite
def _sinks(draw: st.DrawFn) -> Sink:
    sink = draw(st.sampled_from(ALL_SINKS))
    include_input = sink.format != "openai" and draw(st.booleans())
    return Sink(sink.format, sink.compression, sink.layout, include_input)


def _written(
    source: Source, items: list[Document], sink: Sink, start: Place, end: Place, *, as_object: bool, shard_size: int
) -> dict[str, bytes]:
    """Plan, ask and finalize, as three processes would; what stands in the output's folder then."""
    number = next(_FOLDERS)
    request: Document = {"prompt": PROMPT, **({"responseSchema": SCHEMA} if as_object else {})}
    wanted = batch(
        input=source.written(items, start, f"in-{number}"),
        request=None if source.form == "openai" else request,
        model=None if source.form == "openai" else "m",
        output={"uri": end.uri(f"out-{number}"), **end.settings, **sink.fields},
        shardSize=shard_size,
        concurrency=16,
    )
    work = layout.work_folder(end.uri(f"out-{number}"), "u")
    job = Job(batch=wanted, store_uri=work, output_uri=end.uri(f"out-{number}"))
    stores = OpenStores(start.access, end.access)
    plan = make_plan(wanted, stores.open(work), uid="u", created_at=_NOW, stores=stores).plan
    asyncio.run(_run(job, plan, stores))
    finalize(job, plan, stop=None, now=_NOW, stores=stores)
    return end.objects(f"out-{number}")


async def _run(job: Job, plan: Plan, stores: OpenStores) -> None:
    workers = OwnWorkers(job, plan, EndpointShares(Limits(), time.monotonic()), stores=stores)
    ended = await workers.run()
    assert ended.is_finished


def _check(
    source: Source, items: list[Document], sink: Sink, start: Place, end: Place, *, as_object: bool, shard_size: int
) -> None:
    wanted = expected(items, source, as_object=as_object)
    if not wanted:
        with pytest.raises(InputError, match="no item"):
            _written(source, items, sink, start, end, as_object=as_object, shard_size=shard_size)
        return
    objects = _written(source, items, sink, start, end, as_object=as_object, shard_size=shard_size)
    results = result_rows(wanted, sink)
    assert found_rows(sink.results(objects), results, sink) == results
    assert found_errors(sink.errors(objects), sink) == error_rows(wanted, source, sink)


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_every_source_gives_the_same_results(places: dict[str, Place], form: str, place: str) -> None:
    @settings(max_examples=4, phases=[Phase.generate])  # shrinking takes minutes
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        items = data.draw(_items())
        source = data.draw(_sources(form, len(items)))
        end = places[data.draw(st.sampled_from(_PLACES))]
        as_object = form != "openai" and data.draw(st.booleans())
        shard_size = data.draw(st.integers(3, 12))
        _check(source, items, data.draw(_sinks()), places[place], end, as_object=as_object, shard_size=shard_size)

    check()


_FIXED = [item_of(number, REFUSED if number % 5 == 3 else "k1", f'"{number}",\nünd') for number in range(20)]


@pytest.mark.parametrize("place", ["folder", "versitygw"])
@pytest.mark.parametrize("sink", ALL_SINKS, ids=lambda sink: f"{sink.format}-{sink.compression}-{sink.layout}")
def test_every_sink_holds_the_same_results(places: dict[str, Place], sink: Sink, place: str) -> None:
    source = Source("parquet", (7, 15), more={"idField": "id"})
    _check(source, _FIXED, sink, places[place], places[place], as_object=True, shard_size=6)


def test_an_input_of_many_forms_and_a_model_agree_on_what_is_right() -> None:
    source = Source("csv", more={"idField": "id", "limit": 4})
    wanted = expected(_FIXED, source, as_object=False)
    assert [each.answer is None for each in wanted] == [False, False, False, True]
    assert (wanted[1].id, wanted[1].seen["n"]) == ("t-1", "1000000000000000")
    assert wanted[1].answer == 're k1: "1",\nünd (1000000000000000)'
