"""How many tokens a request will use, before it is sent: characters / 4, corrected by what past requests used. Pure."""

from llmbatch_contract.reports import Grant
from llmbatch_contract.spec import Limits
from llmbatch_contract.usage import Usage
from llmbatch_worker.asking import Question

_WEIGHT = 0.05
_FIRST_OUTPUT = 256
_MARGIN = 1.2


class TokenEstimate:
    """Learns from `usage`. Estimates lean to the high side: what was not used is given back when the answer comes."""

    def __init__(self, limits: Limits | None = None) -> None:
        """`limits` are those stated of the endpoint: nothing that is sent can be larger."""
        limits = limits or Limits()
        self._most_tokens, self._most_input = limits.tokens_per_minute, limits.input_tokens_per_minute
        self._input_ratio = 1.0
        self._output: float | None = None

    def granted(self, grant: Grant) -> None:
        """What one worker may use is less than the limit, which may have been raised since it was stated."""
        self._most_tokens = _larger(self._most_tokens, grant.tokens_per_minute)
        self._most_input = _larger(self._most_input, grant.input_tokens_per_minute)

    def of(self, question: Question) -> tuple[float, float]:
        """Tokens of the prompt, and of prompt and answer; no more than the limits, as far as that may be true."""
        read = self.input(question)
        tokens = read + self.output(question)
        if self._most_tokens is not None and tokens > self._most_tokens / 2:
            tokens = max(self._least(question), min(tokens, self._most_tokens / 2))
        return read, tokens

    def too_large(self, question: Question) -> str | None:
        """Why a request can never be sent; None if it can."""
        read, least = self.input(question), self._least(question)
        if self._most_input is not None and read > self._most_input:
            return _sentence(read, "input tokens", "inputTokensPerMinute", self._most_input)
        if self._most_tokens is not None and least > self._most_tokens:
            return _sentence(least, "tokens", "tokensPerMinute", self._most_tokens)
        return None

    def most(self, tokens: float) -> float:
        """The most that another request may need, where one needs so many."""
        return float("inf") if self._most_tokens is None else max(tokens, self._most_tokens / 2)

    def input(self, question: Question) -> float:
        """Tokens of the prompt."""
        return max(1.0, question.input_tokens * self._input_ratio)

    def output(self, question: Question) -> float:
        """Tokens of the answer."""
        expected = _FIRST_OUTPUT if self._output is None else self._output * _MARGIN
        if question.max_output_tokens is None:
            return expected
        return question.max_output_tokens if self._output is None else min(expected, question.max_output_tokens)

    def learn(self, question: Question, used: Usage) -> None:
        """Take in what a request really used."""
        if used.input:
            self._input_ratio += _WEIGHT * (used.input / question.input_tokens - self._input_ratio)
        if used.total:
            last = used.output if self._output is None else self._output
            self._output = last + _WEIGHT * (used.output - last)

    def _least(self, question: Question) -> float:
        """Tokens that it will need for all that is known: a limit on the answer's length says little about it."""
        expected = 1.0 if self._output is None else self._output
        return self.input(question) + min(expected, question.max_output_tokens or expected)


def _larger(known: float | None, granted: float | None) -> float | None:
    """The larger of two limits; one that is not stated is none, whatever is granted."""
    return known if known is None or granted is None else max(known, granted)


def _sentence(needs: float, what: str, field: str, most: float) -> str:
    return (
        f"the request needs about {needs:,.0f} {what}, more than the endpoint's limits.{field} of {most:,.0f} "
        "allows in a minute"
    )
