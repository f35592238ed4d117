"""Which items of an input are taken: `where` first, then `limit`, then `sample`."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import Input
from llmbatch_worker.inputs.selecting import Sampler, SelectError, Where
from llmbatch_worker.planning.batches import Batch


class Selection:
    """The rules of a manifest. Raises InvalidError when made from an expression that is none."""

    def __init__(self, spec: Input) -> None:
        self._where = None if spec.where is None else Where(spec.where)
        self._limit, self.sample = spec.limit, spec.sample
        self.hit_limit = False
        """Whether the last reading ended because there were enough."""

    @property
    def drops(self) -> bool:
        """Whether items between others may be left out."""
        return self._where is not None or self.sample is not None

    @property
    def limit(self) -> int | None:
        """The most items, if all of the first ones are taken."""
        return self._limit

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it looks at."""
        return frozenset() if self._where is None else self._where.fields

    def sampled(self, batches: Iterable[Batch]) -> list[int]:
        """The numbers of the items that `sample` takes; all must be read to know."""
        assert self.sample is not None
        sampler = Sampler(self.sample.items, self.sample.seed)
        for batch in self._before_sample(batches):
            for number in batch.numbers:
                sampler.note(number)
        return sampler.taken()

    def of(self, batches: Iterable[Batch], taken: Sequence[int] | None = None) -> Iterator[Batch]:
        """The items that are taken; `taken` are those that `sampled` has named."""
        chosen = self._before_sample(batches)
        return chosen if taken is None else _taken(chosen, taken)

    def _before_sample(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        self.hit_limit = False
        left = self._limit
        for batch in batches:
            found = batch if self._where is None else self._holding(batch, self._where)
            if left is not None:
                if len(found.numbers) >= left:
                    self.hit_limit = True
                    yield found.only(range(left))
                    return
                left -= len(found.numbers)
            if found.numbers:
                yield found

    def _holding(self, batch: Batch, where: Where) -> Batch:
        kept = []
        for position, item in enumerate(batch.rows.items):
            try:
                if where.holds(item):
                    kept.append(position)
            except SelectError as error:
                raise InputError(f"{batch.name}:{batch.rows.lines[position]}: {error}") from error
        return batch if len(kept) == len(batch.numbers) else batch.only(kept)


def _taken(batches: Iterable[Batch], numbers: Sequence[int]) -> Iterator[Batch]:
    """Of each batch those with one of the numbers, which are sorted; ends after the last of them."""
    at = 0
    for batch in batches:
        if at == len(numbers):
            return
        stop = bisect_right(numbers, batch.numbers[-1], at)
        if stop > at:
            yield batch.only([bisect_left(batch.numbers, number) for number in numbers[at:stop]])
        at = stop
