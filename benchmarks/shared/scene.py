"""Who asks: ten batches of three namespaces, with many workers or few, long questions or short; one is slow."""

from dataclasses import dataclass, replace

REQUESTS_PER_MINUTE = 6_000
TOKENS_PER_MINUTE = 6_000_000


@dataclass(frozen=True)
class Batch:
    """One batch and what it asks."""

    namespace: str
    name: str
    workers: int
    input_tokens: int
    """Of a prompt, on average."""
    output_tokens: int
    """Of an answer, at most."""
    concurrency: int = 16
    """Requests that a worker has in flight at most."""
    latency_s: float = 2.0
    """Half of the answers take no longer."""
    ends: bool = False
    """It is done after a while."""


BATCHES = (
    Batch("support", "triage", 50, 300, 100),
    Batch("support", "replies", 20, 800, 300, ends=True),
    Batch("support", "tags", 30, 150, 20, ends=True),
    Batch("search", "titles", 40, 200, 40),
    Batch("search", "summaries", 10, 3_000, 400, ends=True),
    Batch("search", "vectors", 10, 100, 5),
    Batch("search", "essays", 20, 400, 1_500, concurrency=1, latency_s=20, ends=True),
    Batch("research", "papers", 10, 4_000, 600, ends=True),
    Batch("research", "labels", 8, 250, 10),
    Batch("research", "nightly", 2, 500, 200),
)


@dataclass(frozen=True)
class Scene:
    """All of it."""

    batches: tuple[Batch, ...]
    requests_per_minute: int
    tokens_per_minute: int | None

    @property
    def workers(self) -> int:
        """Of all batches."""
        return sum(batch.workers for batch in self.batches)


def scene(share: float = 1.0, *, limits_tokens: bool = True) -> Scene:
    """The scene with a share of the workers, and of the limits; with or without a limit of tokens."""
    batches = (replace(batch, workers=max(1, round(batch.workers * share))) for batch in BATCHES)
    tokens = round(TOKENS_PER_MINUTE * share) if limits_tokens else None
    return Scene(tuple(batches), round(REQUESTS_PER_MINUTE * share), tokens)
