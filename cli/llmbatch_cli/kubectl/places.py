"""Where an output is, as the status of a batch tells it. Pure."""

_BUILT_IN = "llmbatch://"
"""As in llmbatch://NAMESPACE/BATCH/results.jsonl."""


def is_elsewhere(place: str) -> bool:
    """Whether it is in a store of the user's, as s3://…, rather than in the built-in one."""
    return "://" in place and not place.startswith(_BUILT_IN)


def name_in(place: str) -> str:
    """The name of the output, as in `results.jsonl`."""
    return place.rsplit("/", 1)[-1]
