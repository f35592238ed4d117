"""The ways an answer can go wrong, each with the sentence the help and the documents show.

Settings, directives, statistics and failures all name them by these words. Knows nothing of HTTP.
"""

from enum import StrEnum


class Category(StrEnum):
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    RATE_LIMIT = "rate_limit"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_POLICY = "content_policy"
    AUTH = "auth"
    PERMISSION = "permission"
    QUOTA = "quota"
    NOT_FOUND = "not_found"
    HANG = "hang"
    RESET = "reset"
    CLOSE = "close"
    HTML = "html"
    TRUNCATED_JSON = "truncated_json"
    EMPTY = "empty"
    LENGTH = "length"
    FILTER = "filter"
    REFUSAL = "refusal"
    WRONG_SCHEMA = "wrong_schema"
    SLOW = "slow"


KNOWN = ", ".join(Category)

# Changes of the words of an answer. An embedding has no words, so these leave it alone.
OF_TEXT = frozenset({Category.LENGTH, Category.FILTER, Category.REFUSAL, Category.WRONG_SCHEMA})

# The client never sees an answer, so no output tokens are charged. Error statuses come on top.
WITHOUT_ANSWER = frozenset({Category.HANG, Category.RESET, Category.HTML})


def parse_category(name: str) -> Category:
    try:
        return Category(name)
    except ValueError:
        raise ValueError(f"unknown category {name!r}; known: {KNOWN}") from None
