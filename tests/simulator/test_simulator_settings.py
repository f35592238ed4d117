from dataclasses import fields
from typing import Any

import pytest

from llmbatch_cli.simulator import Category, SettingsError, SimulatorSettings
from llmbatch_cli.simulator.durations import go_duration, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("80ms", 0.08), ("2s", 2.0), ("1.5m", 90.0), ("1h", 3600.0), ("3", 3.0), (0.25, 0.25), (" 2 s ", 2.0)],
)
def test_durations_are_read_as_people_write_them(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "fast", "-1s", "2 days", -1, True, None, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (1.5, "1.5s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (3661.25, "1h1m1.25s"),
    ],
)
def test_go_durations_are_those_of_go_rounded_up(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"port": 70000}, "port: must be a whole number from 0 to 65535", id="port"),
        pytest.param({"host": ""}, "host: must be a text", id="host"),
        pytest.param({"seed": -1}, "seed: must be a whole number from 0", id="seed"),
        pytest.param({"latency": "soon"}, "latency: not a duration: 'soon'; write it as 80ms", id="latency"),
        pytest.param({"latency_spread": -0.1}, "latency_spread: must be a number from 0", id="spread"),
        pytest.param({"tokens_per_second": "fast"}, "tokens_per_second: must be a number from 0", id="speed"),
        pytest.param({"output_tokens": 0}, "output_tokens: must be a number above 0", id="tokens"),
        pytest.param({"requests_per_minute": 0}, "requests_per_minute: must be a whole number from 1", id="rpm"),
        pytest.param({"tokens_per_minute": 1.5}, "tokens_per_minute: must be a whole number", id="tpm"),
        pytest.param({"max_concurrency": True}, "max_concurrency: must be a whole number", id="concurrency"),
        pytest.param({"limit_window": "0s"}, "limit_window: must be longer than 0s", id="window"),
        pytest.param(
            {"requests_per_minute": 30, "limit_window": "1s"},
            "requests_per_minute: 30 per minute allows nothing in a limit_window of 1s",
            id="a window that admits nothing",
        ),
        pytest.param({"overloaded_concurrency": 0}, "overloaded_concurrency: must be", id="overloaded"),
        pytest.param({"retry_after_format": "x"}, "must be one of seconds, date, none", id="retry after"),
        pytest.param({"fail_attempts": -1}, "fail_attempts: must be a whole number from 0", id="attempts"),
        pytest.param({"api_key": ""}, "api_key: must be a text", id="empty key"),
        pytest.param({"models": "gpt"}, "models: must be a list of names", id="models"),
        pytest.param({"fail": {"hang": 0.6, "reset": 0.6}}, "fail: the rates add up to 1.2", id="over 1"),
        pytest.param({"fail": {"hang": 2}}, "fail: the rate of hang must be a number from 0 to 1", id="rate"),
        pytest.param({"fail": ["hang=nan"]}, "the rate of hang must be a number", id="rate that is no number"),
        pytest.param({"fail": {"boom": 0.1}}, "fail: unknown category 'boom'; known: server_error", id="category"),
        pytest.param({"fail": ["hang"]}, "fail: write CATEGORY=RATE", id="no rate"),
        pytest.param({"fail": ["hang=0.1", "hang=0.2"]}, "each category once", id="category twice"),
        pytest.param({"fail": 3}, "fail: must map categories to rates", id="no mapping"),
        pytest.param({"latencie": 1}, "unknown setting 'latencie'; known: host, port", id="unknown name"),
    ],
)
def test_nonsense_is_refused_with_the_name_and_what_is_allowed(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        SimulatorSettings.parse(values)
    assert message in str(raised.value)


def test_rates_that_add_up_to_one_are_allowed() -> None:
    settings = SimulatorSettings.parse({"fail": [f"{name}=0.1" for name in list(Category)[:10]]})
    assert len(settings.fail) == 10


def test_the_order_in_which_rates_are_given_does_not_matter() -> None:
    one = SimulatorSettings.parse({"fail": ["hang=0.1", "auth=0.2"]})
    other = SimulatorSettings.parse({"fail": {"auth": 0.2, "hang": 0.1}})
    assert list(one.fail.items()) == list(other.fail.items())


def test_settings_shown_can_be_sent_back_and_hide_only_the_key() -> None:
    settings = SimulatorSettings.parse({"api_key": "secret", "latency": "80ms", "fail": ["slow=0.5"]})
    shown = settings.as_json()
    assert {each.name for each in fields(settings)} - set(shown) == {"api_key"}
    assert settings.changed(shown) == settings


def test_a_running_server_cannot_move() -> None:
    with pytest.raises(SettingsError, match="port: cannot change while"):
        SimulatorSettings().changed({"port": 9})
