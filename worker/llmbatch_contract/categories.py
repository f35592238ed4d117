"""Why an item failed, and the one rule for each reason.

The names appear in dead letters, status, metrics and spans. The worker looks the rule up; nobody else decides.
"""

from enum import StrEnum


class Category(StrEnum):
    """Every way in which an item can fail."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTH = "auth"
    PERMISSION = "permission"
    QUOTA_EXHAUSTED = "quota_exhausted"
    MODEL_NOT_FOUND = "model_not_found"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    INVALID_OUTPUT = "invalid_output"
    TEMPLATE_ERROR = "template_error"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    UNKNOWN = "unknown"


class Rule(StrEnum):
    """What happens to an item after a failure of one category."""

    RETRY = "retry"
    """Ask again after a growing wait, up to `retry.maxAttempts`."""
    GIVE_UP = "give up"
    """Asking again cannot help: the item is a dead letter."""
    STOP = "stop the batch"
    """No item can succeed: the batch stops at once, the item stays unanswered."""


MEANINGS: dict[Category, tuple[Rule, str]] = {
    Category.RATE_LIMITED: (
        Rule.RETRY,
        "HTTP 429: too many requests or tokens; the whole endpoint slows down",
    ),
    Category.OVERLOADED: (
        Rule.RETRY,
        "HTTP 502, 503 or 529: the endpoint is overloaded or away; the whole endpoint slows down",
    ),
    Category.SERVER_ERROR: (Rule.RETRY, "another HTTP 5xx, or an answer that is not JSON"),
    Category.TIMEOUT: (Rule.RETRY, "no answer within `requestTimeoutSeconds`"),
    Category.CONNECTION: (
        Rule.RETRY,
        "the connection could not be made or was closed before the answer ended",
    ),
    Category.AUTH: (Rule.STOP, "HTTP 401: the API key is missing, wrong or expired"),
    Category.PERMISSION: (
        Rule.STOP,
        "HTTP 403: the key may not use this; once an item has succeeded, only this item fails",
    ),
    Category.QUOTA_EXHAUSTED: (Rule.STOP, "the account's quota or credit is used up"),
    Category.MODEL_NOT_FOUND: (
        Rule.STOP,
        "HTTP 404: unknown model or path; once an item has succeeded, only this item fails",
    ),
    Category.INVALID_REQUEST: (
        Rule.GIVE_UP,
        "another HTTP 4xx: the endpoint refuses the request as malformed",
    ),
    Category.CONTEXT_LENGTH: (Rule.GIVE_UP, "the prompt is longer than the model's context"),
    Category.CONTENT_FILTER: (Rule.GIVE_UP, "the endpoint's content filter blocked the prompt or the answer"),
    Category.REFUSAL: (Rule.GIVE_UP, "the model refused to answer"),
    Category.TRUNCATED: (Rule.GIVE_UP, "the answer was cut off at the token limit (`finish_reason: length`)"),
    Category.INVALID_OUTPUT: (Rule.RETRY, "the answer is empty or does not match `responseSchema`"),
    Category.TEMPLATE_ERROR: (Rule.GIVE_UP, "the item's fields do not fit the template"),
    Category.CANCELLED: (Rule.GIVE_UP, "the batch ended before the item was answered"),
    Category.DEADLINE: (Rule.GIVE_UP, "`activeDeadlineSeconds` ended before the item was answered"),
    Category.UNKNOWN: (Rule.RETRY, "anything else"),
}

NEVER_ASKED = (Category.CANCELLED, Category.DEADLINE)
"""The batch ended before the item was answered: counted as cancelled, not as failed."""

STOPS_BY_DEFAULT = tuple(c for c, (rule, _) in MEANINGS.items() if rule is Rule.STOP)


ESCAPABLE = frozenset({Category.PERMISSION, Category.MODEL_NOT_FOUND})
"""Stop a batch only while nothing has succeeded: later, a 403 or 404 is about one item (its text, its model)."""


def rule_of(category: Category, stop_on: tuple[Category, ...] = STOPS_BY_DEFAULT) -> Rule:
    """The rule for a category when the batch stops on `stop_on`.

    A category that would stop by default but is not in `stop_on` gives up on the item instead.
    """
    if category in stop_on:
        return Rule.STOP
    rule = MEANINGS[category][0]
    return Rule.GIVE_UP if rule is Rule.STOP else rule
