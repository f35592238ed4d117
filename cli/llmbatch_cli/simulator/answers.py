"""The texts of the answers, and what a failure makes of them.

`compose` writes the ordinary answers to a request, `spoil` turns them into refused, cut or wrong ones.
Everything depends on the seed and the content alone. bodies.py puts the answers into the shape of an API.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import orjson
from jsonschema_rs import ReferencingError, ValidationError, Validator, validator_for

from llmbatch_cli.simulator.asked import Api, Asked
from llmbatch_cli.simulator.categories import Category
from llmbatch_cli.simulator.content import count_tokens
from llmbatch_cli.simulator.draws import number, source, unit
from llmbatch_cli.simulator.errors import invalid
from llmbatch_cli.simulator.prose import prose
from llmbatch_cli.simulator.schema_sample import SchemaError, sample
from llmbatch_cli.simulator.settings import SimulatorSettings

REFUSAL = "I'm sorry, but I can't help with that."
_LENGTH_SPREAD = 0.3
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Answer:
    text: str | None
    finish_reason: str = "stop"
    refusal: str | None = None

    @property
    def tokens(self) -> int:
        said = self.refusal if self.text is None else self.text
        return 0 if said is None else count_tokens(said)


def normal(seed: int, purpose: str, key: bytes) -> float:
    """A draw of the standard normal distribution."""
    return _NORMAL.inv_cdf(max(unit(seed, purpose, key), 1e-12))


def compose(settings: SimulatorSettings, asked: Asked) -> tuple[Answer, ...]:
    if asked.api is Api.EMBEDDINGS:
        return ()
    return tuple(_answer(settings, asked, f"answer {index}") for index in range(asked.answer_count))


def _answer(settings: SimulatorSettings, asked: Asked, purpose: str) -> Answer:
    if not asked.wants_json:
        tokens = _length_tokens(settings, asked, purpose)
        return Answer(prose(number(settings.seed, purpose, asked.key), tokens))
    text = orjson.dumps(_document(settings, asked, purpose)).decode()
    if asked.max_tokens is not None and count_tokens(text) > asked.max_tokens:
        return Answer(text[: asked.max_tokens * 4], "length")
    return Answer(text)


def _length_tokens(settings: SimulatorSettings, asked: Asked, purpose: str) -> int:
    """Lognormal around the mean; a text ends by itself before max_tokens, so that nothing fails unasked."""
    mu = math.log(settings.output_tokens) - _LENGTH_SPREAD**2 / 2
    drawn = math.exp(mu + _LENGTH_SPREAD * normal(settings.seed, f"length of {purpose}", asked.key))
    return max(1, min(round(drawn), asked.max_tokens or round(drawn)))


def _document(settings: SimulatorSettings, asked: Asked, purpose: str) -> Any:
    if asked.schema is None:
        return {"answer": prose(number(settings.seed, purpose, asked.key), 5)}
    validator = _checked_schema(asked.schema)
    try:
        document = sample(asked.schema, source(settings.seed, purpose, asked.key))
    except (SchemaError, TypeError, ValueError, AttributeError) as error:
        raise _bad_schema(str(error)) from None
    problem = next(validator.iter_errors(document), None)
    if problem is not None:
        raise _bad_schema(f"the simulator cannot make up a document for it ({problem.message})")
    return document


def _checked_schema(schema: Mapping[str, Any]) -> Validator:
    try:
        return _validator(orjson.dumps(schema))
    except (ValidationError, ReferencingError, ValueError) as error:
        raise _bad_schema(str(error).partition("\n")[0]) from None


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Validator:
    return validator_for(orjson.loads(schema), retriever=_retrieve_nothing)


def _retrieve_nothing(uri: str) -> Any:
    raise ValueError(f"a reference to {uri} is outside the schema")


def _bad_schema(why: str) -> Exception:
    return invalid(f"Invalid schema for the response format: {why}", "response_format", "invalid_json_schema")


def spoil(answer: Answer, category: Category | None, asked: Asked) -> Answer:
    """The answer as the failure leaves it. Failures of other kinds leave it as it is."""
    text = answer.text or ""
    match category:
        case Category.EMPTY:
            return replace(answer, text="" if asked.key[0] % 2 else None)
        case Category.LENGTH:
            return Answer(_half(text), "length")
        case Category.FILTER:
            return Answer(_half(text), "content_filter")
        case Category.REFUSAL:
            return Answer(None, "stop", REFUSAL)
        case Category.WRONG_SCHEMA:
            return Answer(_wrong(text, asked))
    return answer


def _half(text: str) -> str:
    return text[: max(1, len(text) // 2)]


def _wrong(text: str, asked: Asked) -> str:
    """JSON that breaks the schema; without a schema, or with one that allows anything, no JSON at all."""
    if asked.schema is not None:
        validator = _checked_schema(asked.schema)
        for candidate in _candidates(text):
            if not validator.is_valid(candidate):
                return orjson.dumps(candidate).decode()
    return "Here is what I found: " + prose(number(0, "wrong", asked.key), 5)


def _candidates(text: str) -> list[Any]:
    """First what models get wrong, a property that is missing or of another type; then other types."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        return [{}, None, "wrong", -1.5, []]
    without = [{k: v for k, v in document.items() if k != name} for name in document]
    mistyped = [{**document, name: {"wrong": value}} for name, value in document.items()]
    return [*without, *mistyped, {}, None, "wrong", -1.5, []]
