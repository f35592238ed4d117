import pytest

from llmbatch_cli.simulator import Category, SimulatorSettings, content_key, fate
from llmbatch_cli.simulator.fate import DirectiveError, Directives, Failure, read_directives
from simulator.asking import ask, running

_ITEMS = [f"item {index}" for index in range(2000)]


def _keys() -> list[bytes]:
    return [content_key(ask("chat", text)) for text in _ITEMS]


def test_the_share_of_items_that_fail_is_the_rate() -> None:
    settings = SimulatorSettings.parse({"fail": {"server_error": 0.2, "hang": 0.1}})
    fates = [fate(settings, key) for key in _keys()]
    assert 340 <= fates.count(Category.SERVER_ERROR) <= 460
    assert 150 <= fates.count(Category.HANG) <= 250


def test_rates_that_add_up_to_one_spare_nobody() -> None:
    rates = {name: 1 / len(Category) for name in Category}
    settings = SimulatorSettings(fail=rates)
    assert None not in {fate(settings, key) for key in _keys()}


def test_another_seed_fails_other_items() -> None:
    chosen = [
        {key for key in _keys() if fate(SimulatorSettings(seed=seed, fail={Category.HANG: 0.1}), key)}
        for seed in (0, 1)
    ]
    assert chosen[0] != chosen[1]


def test_an_item_is_its_content_whatever_the_model_and_parameters() -> None:
    one = ask("chat", "Hello", temperature=0)
    assert content_key(one) == content_key({**one, "model": "other", "temperature": 1})
    assert content_key(one) != content_key(ask("chat", "Hullo"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain [[wiki]] text", Directives(), id="no directive"),
        pytest.param("[[simulate: hang]]", Directives(Failure(Category.HANG, 0)), id="always"),
        pytest.param("a [[simulate:auth x2]] b", Directives(Failure(Category.AUTH, 2)), id="two attempts"),
        pytest.param("[[ simulate: latency 80ms ]]", Directives(latency_s=0.08), id="latency"),
        pytest.param(
            "[[simulate: slow]] [[simulate: latency 0s]] [[simulate: hang]]",
            Directives(Failure(Category.SLOW, 0), 0.0),
            id="the first of each kind",
        ),
    ],
)
def test_directives_are_read_from_the_prompt(text: str, expected: Directives) -> None:
    assert read_directives(["other text", text]) == expected


@pytest.mark.parametrize("words", ["boom", "hang x0", "hang 2", "latency soon", ""])
def test_a_directive_that_makes_no_sense_is_an_error(words: str) -> None:
    with pytest.raises(DirectiveError, match=r"\[\[simulate"):
        read_directives([f"[[simulate: {words}]]"])


async def test_the_items_that_fail_are_those_that_fate_says_in_any_order() -> None:
    texts = _ITEMS[:60]
    async with running(fail={"server_error": 0.3}) as client:
        expected = {text for text in texts if fate(client.sim.settings, content_key(ask("chat", text)))}
        failed = {text for text in reversed(texts) if (await client.chat(text)).status == 500}
    assert failed == expected
    assert failed


@pytest.mark.parametrize(
    ("attempts", "statuses"),
    [
        pytest.param(1, [500, 200, 200, 200], id="the first attempt"),
        pytest.param(3, [500, 500, 500, 200], id="three attempts"),
        pytest.param(0, [500, 500, 500, 500], id="always"),
    ],
)
async def test_an_item_fails_on_its_first_attempts_then_succeeds(attempts: int, statuses: list[int]) -> None:
    async with running(fail={"server_error": 1.0}, fail_attempts=attempts) as client:
        assert [(await client.chat("one")).status for _ in statuses] == statuses


async def test_a_directive_overrides_the_rates() -> None:
    async with running(fail={"server_error": 1.0}, fail_attempts=0) as client:
        replies = [await client.chat("[[simulate: unavailable x2]]") for _ in range(3)]
    assert [reply.status for reply in replies] == [503, 503, 200]


async def test_a_directive_that_makes_no_sense_is_a_400_that_lists_the_categories() -> None:
    async with running() as client:
        reply = await client.chat("[[simulate: boom]]")
    assert reply.status == 400
    assert "server_error, unavailable" in reply.body["error"]["message"]


async def test_attempts_turned_away_by_a_limit_do_not_count() -> None:
    async with running(fail={"server_error": 1.0}, requests_per_minute=1) as client:
        statuses = [(await client.chat("a")).status, (await client.chat("b")).status]
        client.sim.update(requests_per_minute=None)
        statuses += [(await client.chat("b")).status, (await client.chat("b")).status]
    assert statuses == [500, 429, 500, 200]
