"""Plain words of a wanted length. answers.py calls it with a number that is drawn from the content."""

_WORDS = tuple(
    """
    about above after again almost always among animal answer around basket before behind better between
    bridge bright brother candle careful castle cheese circle clear cloud coffee corner country cousin
    dinner doctor dream early earth east engine evening family farmer field finger flower forest friend
    garden gentle glass golden green happy harbour heavy honest house hundred island journey kettle
    kitchen ladder letter little market meadow middle mirror morning mountain narrow never north ocean
    office orange paper pencil people picture planet pocket quiet rabbit railway rather really river round
    school second shadow silver simple sister slowly south spring station stone story street summer table
    teacher thunder ticket together tower travel under valley village visit water weather welcome west
    window winter wonder yellow
    """.split()  # noqa: SIM905 (a paragraph reads better than a column)
)
_SHUFFLES = 64


def _pool() -> tuple[str, tuple[int, ...]]:
    """A long text in which every word follows others than in the last round, and where its words start."""
    words = [_WORDS[i * (2 * k + 1) % len(_WORDS)] for k in range(_SHUFFLES) for i in range(len(_WORDS))]
    starts = [0]
    for word in words[:-1]:
        starts.append(starts[-1] + len(word) + 1)
    return " ".join(words) + " ", tuple(starts)


_TEXT, _STARTS = _pool()


def prose(drawn: int, tokens: int) -> str:
    """Words of at most `tokens` tokens of four characters, and close to that many."""
    start = _STARTS[drawn % len(_STARTS)]
    length = tokens * 4
    text = _TEXT[start : start + length]
    while len(text) < length:
        text += _TEXT[: length - len(text)]
    # The last word may be cut. Removing it would make short answers much shorter than asked.
    return text.rstrip()
