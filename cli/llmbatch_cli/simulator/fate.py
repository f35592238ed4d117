"""Which requests fail, and how: by the rates in the settings, or by directives in the prompt.

`fate` depends on nothing but the seed and the content, so a test can tell beforehand which items fail.
Pure: attempts already seen are an argument.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmbatch_cli.simulator.categories import Category, parse_category
from llmbatch_cli.simulator.draws import unit
from llmbatch_cli.simulator.durations import parse_duration
from llmbatch_cli.simulator.settings import SimulatorSettings

_DIRECTIVE = re.compile(r"\[\[\s*simulate:\s*(.*?)\s*\]\]", re.DOTALL)
_FAILURE = re.compile(r"([a-z_]+)(?:\s+x([1-9]\d*))?")
ALWAYS = 0


class DirectiveError(ValueError):
    """A [[simulate: …]] in a prompt that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong with an item, and on how many of its first attempts; ALWAYS is every attempt."""

    category: Category
    attempts: int

    def strikes(self, attempts_seen: int) -> bool:
        return self.attempts == ALWAYS or attempts_seen < self.attempts


@dataclass(frozen=True, slots=True)
class Directives:
    failure: Failure | None = None
    latency_s: float | None = None


NO_DIRECTIVES = Directives()


def fate(settings: SimulatorSettings, content_key: bytes) -> Category | None:
    """The category an item is selected to fail with, if any."""
    if not settings.fail:
        return None
    point = unit(settings.seed, "fate", content_key)
    reached = 0.0
    for category, rate in settings.fail.items():
        reached += rate
        # Rates that add up to 1 must leave nobody out, whatever the last digit of their sum.
        if point < reached or reached > 1 - 1e-9:
            return category
    return None


def failure_of(settings: SimulatorSettings, content_key: bytes, directives: Directives) -> Failure | None:
    """What the item is in for: its directive if it has one, else its fate."""
    if directives.failure is not None:
        return directives.failure
    category = fate(settings, content_key)
    return None if category is None else Failure(category, settings.fail_attempts)


def read_directives(texts: Iterable[str]) -> Directives:
    """The directives in a prompt; of several of one kind the first holds."""
    failure: Failure | None = None
    latency_s: float | None = None
    for text in texts:
        if "[[" not in text:
            continue
        for match in _DIRECTIVE.finditer(text):
            directive = _parse_directive(match[1])
            failure = failure or directive.failure
            latency_s = directive.latency_s if latency_s is None else latency_s
    return NO_DIRECTIVES if failure is None and latency_s is None else Directives(failure, latency_s)


def _parse_directive(words: str) -> Directives:
    name, _, rest = words.partition(" ")
    try:
        if name == "latency":
            return Directives(latency_s=parse_duration(rest))
        match = _FAILURE.fullmatch(words)
        if match is None:
            raise ValueError("write a category, a category and x2 for two attempts, or latency and a duration")
        return Directives(failure=Failure(parse_category(match[1]), int(match[2] or ALWAYS)))
    except ValueError as error:
        raise DirectiveError(f"[[simulate: {words}]]: {error}") from None
