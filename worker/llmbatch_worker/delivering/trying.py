"""When a request is tried again, and when no more. Pure."""

from llmbatch_contract.webhook_answers import LONGEST_WAIT_S, TryAgain

MOST_TRIES = 10
PATIENCE_S = 900.0
"""So long after the first try comes the last."""
MOST_IN_A_ROW = 20
"""Requests given up one after the other: then the rest is not tried."""
TOLD_AFTER_TRIES = 3
"""Of a request, that somebody waits for it: a moment's trouble is not worth a line."""
_FIRST_WAIT_S = 1.0


def wait_s(again: TryAgain, tries: int, since_first_s: float, chance: float) -> float | None:
    """How long to wait after so many tries; None: it is given up.

    Doubled at each try, and not the same for all that failed together: `chance` is from 0 to 1.
    """
    wait = min(_FIRST_WAIT_S * 2.0 ** (tries - 1), LONGEST_WAIT_S) * (0.75 + chance / 2)
    wait = max(again.after_s, wait)
    return None if tries >= MOST_TRIES or since_first_s + wait > PATIENCE_S else wait


def why_given_up(why: str, tries: int) -> str:
    """As it stands in undelivered.jsonl."""
    return f"{why}; {tries} {'try' if tries == 1 else 'tries'}"
