"""Whose turn it is, where too many share too little for all of them to send at once. Pure."""

from collections.abc import Hashable, Iterable, Sequence

TURN_S = 60.0
"""Long enough that a change of turns, after which a minute counts for both, costs little."""


class Turns:
    """Those who have a turn keep it for TURN_S; then those who have waited longest go first."""

    def __init__(self) -> None:
        self._since: dict[Hashable, tuple[bool, float]] = {}

    def ordered(self, keys: Iterable[Hashable], now: float) -> list[int]:
        """Places in `keys`, who goes first first."""
        ranks = [(*self._rank(key, now), place) for place, key in enumerate(keys)]
        return [place for *_, place in sorted(ranks)]

    def _rank(self, key: Hashable, now: float) -> tuple[int, float]:
        has_turn, since = self._since.get(key, (False, now))
        if has_turn:
            return (0 if now - since < TURN_S else 2), since
        return 1, since

    def note(self, keys: Sequence[Hashable], served: Sequence[bool], now: float) -> None:
        """Who has its turn from now on, and who waits."""
        for key, has_turn in zip(keys, served, strict=True):
            if self._since.get(key, (None, now))[0] is not has_turn:
                self._since[key] = has_turn, now

    def forget(self, others_than: set[Hashable]) -> None:
        """Drop who is gone."""
        self._since = {key: since for key, since in self._since.items() if key in others_than}
