"""Errors by category, each with samples. Pure."""

from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.markup import Html, el, join

_MEANINGS = {
    "rate_limited": "The endpoint said that requests came too fast.",
    "overloaded": "The endpoint had no room.",
    "server_error": "The endpoint failed.",
    "timeout": "No answer came in time.",
    "connection": "The endpoint was not to be reached, or the connection broke.",
    "auth": "The key was not accepted.",
    "permission": "The key may not do this.",
    "quota_exhausted": "The account has no credit or quota left.",
    "model_not_found": "The endpoint has no such model.",
    "invalid_request": "The endpoint did not accept the request.",
    "context_length": "The item is too long for the model.",
    "content_filter": "The endpoint's filter held the answer back.",
    "refusal": "The model declined to answer.",
    "truncated": "The answer was cut at the limit of tokens.",
    "invalid_output": "The answer does not fit the schema.",
    "template_error": "The item does not fit the template of the prompt.",
    "cancelled": "The batch ended before the item was answered.",
    "budget": "The budget was used up.",
    "deadline": "The time was up before the item was answered.",
}


def failures(errors: list[dict[str, Any]], total: int) -> Html:
    """All categories, the most frequent first."""
    if not errors:
        return el("p", "No item failed.", class_="empty good")
    most = max(error["count"] for error in errors)
    return el("ol", *(_category(error, total, most) for error in errors), class_="errors")


def _category(error: dict[str, Any], total: int, most: int) -> Html:
    category, count = error["category"], error["count"]
    head = el(
        "div",
        el("h3", el("code", category)),
        el("p", el("b", wording.whole(count)), f" · {wording.share(count, total)} of all items", class_="count"),
        class_="head",
    )
    strip = el("div", el("i", style=f"width:{max(0.5, 100 * count / most):.1f}%"), class_="share", aria_hidden="true")
    meaning = el("p", _MEANINGS[category], class_="note") if category in _MEANINGS else ""
    return el("li", head, strip, meaning, _samples(error["samples"], count))


def _samples(samples: list[dict[str, Any]], count: int) -> Html:
    rows = (el("div", el("dt", el("bdi", s["id"])), el("dd", el("bdi", s["message"]))) for s in samples)
    left = count - len(samples)
    more = el("p", f"and {wording.whole(left)} more in errors.jsonl", class_="note") if left > 0 else ""
    return join(el("dl", *rows, class_="samples"), more)
