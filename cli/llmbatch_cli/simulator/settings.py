"""What the simulator is told to do: one frozen dataclass, parsed and validated in one place.

The command, PATCH /settings and the tests all come through here, with the same names. Durations are
seconds once parsed. Knows nothing of HTTP; invalid values raise SettingsError.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from llmbatch_cli.simulator.categories import Category, parse_category
from llmbatch_cli.simulator.durations import parse_duration

RETRY_AFTER_FORMATS = ("seconds", "date", "none")
FIXED_WHILE_RUNNING = ("host", "port")


class SettingsError(ValueError):
    """A setting is nonsense. The message names it and says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Durations are in seconds, limits per minute; None means no limit. Port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = 0
    api_key: str | None = None
    models: tuple[str, ...] = ()
    seed: int = 0
    latency: float = 0.0
    latency_spread: float = 0.0
    tokens_per_second: float = 0.0
    output_tokens: float = 20.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None
    limit_window: float = 60.0
    overloaded_concurrency: int | None = None
    retry_after_format: str = "seconds"
    fail: Mapping[Category, float] = field(default_factory=dict)
    fail_attempts: int = 1

    def __post_init__(self) -> None:
        for name, parse in _PARSERS.items():
            object.__setattr__(self, name, _parsed(name, parse, getattr(self, name)))
        _check_rates(self.fail)
        _check_window("requests_per_minute", self.requests_per_minute, self.limit_window)
        _check_window("tokens_per_minute", self.tokens_per_minute, self.limit_window)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "SimulatorSettings":
        """From loose values, such as "80ms" for a latency or ["hang=0.1"] for failures."""
        _check_names(values)
        return cls(**values)

    def changed(self, values: Mapping[str, Any]) -> "SimulatorSettings":
        """With other values for a server that is already running."""
        _check_names(values)
        fixed = [name for name in FIXED_WHILE_RUNNING if values.get(name, getattr(self, name)) != getattr(self, name)]
        if fixed:
            raise SettingsError(f"{fixed[0]}: cannot change while the simulator runs")
        return replace(self, **values)

    def as_json(self) -> dict[str, Any]:
        """What GET /settings shows: everything but the key."""
        shown = {**asdict(self), "fail": {str(name): rate for name, rate in self.fail.items()}}
        del shown["api_key"]
        return shown


def _parsed(name: str, parse: Callable[[Any], Any], value: object) -> Any:
    try:
        return parse(value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{name}: {error}") from None


def _check_names(values: Mapping[str, Any]) -> None:
    known = [each.name for each in fields(SimulatorSettings)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]!r}; known: {', '.join(known)}")


def _check_rates(rates: Mapping[Category, float]) -> None:
    total = math.fsum(rates.values())
    if total > 1 + 1e-9:
        raise SettingsError(f"fail: the rates add up to {total:g}; together they may be at most 1")


def _check_window(name: str, per_minute: int | None, window_s: float) -> None:
    if per_minute is not None and per_minute * window_s / 60 < 1:
        raise SettingsError(
            f"{name}: {per_minute} per minute allows nothing in a limit_window of {window_s:g}s; "
            f"needs at least {math.ceil(60 / window_s)} per minute, or a longer window"
        )


def _whole(value: object, *, at_least: int, at_most: int | None = None) -> int:
    allowed = f"a whole number from {at_least}" + ("" if at_most is None else f" to {at_most}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be {allowed}, not {value!r}")
    if value < at_least or (at_most is not None and value > at_most):
        raise ValueError(f"must be {allowed}, not {value}")
    return value


def _count(value: object) -> int | None:
    return None if value is None else _whole(value, at_least=1)


def _number(value: object, *, above: float | None = None, at_least: float = 0.0) -> float:
    allowed = f"a number from {at_least:g}" if above is None else f"a number above {above:g}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must be {allowed}, not {value!r}")
    if value < at_least or (above is not None and value <= above):
        raise ValueError(f"must be {allowed}, not {value!r}")
    return float(value)


def _duration(value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; write it as 80ms, 2s, 1m or plain seconds") from None


def _window(value: object) -> float:
    window_s = _duration(value)
    if window_s <= 0:
        raise ValueError("must be longer than 0s")
    return window_s


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text that is not empty, not {value!r}")
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of names, not {value!r}")
    return tuple(_text(each) for each in value)


def _retry_after_format(value: object) -> str:
    if value not in RETRY_AFTER_FORMATS:
        raise ValueError(f"must be one of {', '.join(RETRY_AFTER_FORMATS)}, not {value!r}")
    return str(value)


def _rates(value: object) -> dict[Category, float]:
    """In the order of the categories, so that the order of options or keys decides nothing."""
    given = value if isinstance(value, Mapping) else _rates_by_name(value)
    rates = {parse_category(name): _rate(name, rate) for name, rate in given.items()}
    return {category: rates[category] for category in Category if category in rates}


def _rates_by_name(value: object) -> dict[str, str]:
    """From the command line's CATEGORY=RATE words."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"must map categories to rates, not {value!r}")
    rates: dict[str, str] = {}
    for word in value:
        name, equals, rate = str(word).partition("=")
        if not equals or name in rates:
            raise ValueError(f"write CATEGORY=RATE, each category once, not {word!r}")
        rates[name.strip()] = rate
    return rates


def _rate(name: str, value: object) -> float:
    try:
        rate = float(value) if isinstance(value, str) else _number(value)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of {name} must be a number from 0 to 1, not {value!r}")
    return rate


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "host": _text,
    "port": lambda value: _whole(value, at_least=0, at_most=65535),
    "api_key": lambda value: None if value is None else _text(value),
    "models": _names,
    "seed": lambda value: _whole(value, at_least=0),
    "latency": _duration,
    "latency_spread": _number,
    "tokens_per_second": _number,
    "output_tokens": lambda value: _number(value, above=0),
    "requests_per_minute": _count,
    "tokens_per_minute": _count,
    "max_concurrency": _count,
    "limit_window": _window,
    "overloaded_concurrency": _count,
    "retry_after_format": _retry_after_format,
    "fail": _rates,
    "fail_attempts": lambda value: _whole(value, at_least=0),
}
