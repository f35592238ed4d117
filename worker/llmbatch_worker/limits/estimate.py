"""How many tokens a request will use, before it is sent: characters / 4, corrected by what past requests used. Pure."""

from llmbatch_contract.usage import Usage
from llmbatch_worker.asking import Question

_WEIGHT = 0.05
_FIRST_OUTPUT = 256
_MARGIN = 1.2


class TokenEstimate:
    """Learns from `usage`. Estimates lean to the high side: what was not used is given back when the answer comes."""

    def __init__(self) -> None:
        self._input_ratio = 1.0
        self._output: float | None = None

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
