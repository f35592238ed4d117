"""Tokens by kind and what they cost. Pure."""

from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.markup import Html, el, join

Document = dict[str, Any]
_MILLION = 1_000_000


def spending(summary: Document) -> Html:
    """A table of kinds of tokens, with prices where the endpoint has them."""
    usage, pricing = summary["usage"], summary["configuration"]["endpoint"].get("pricing")
    if not usage["total_tokens"]:
        return el("p", "No tokens were used.", class_="empty")
    rows = [_row(name, tokens, price, pricing) for name, tokens, price in _kinds(usage, pricing or {})]
    head = ("Tokens", "Number", *(("Per million", "Cost") if pricing is not None else ()))
    cells = [el("th", name, scope="col", class_="n" if i else None) for i, name in enumerate(head)]
    table = el("table", el("thead", el("tr", *cells)), el("tbody", *rows, _total(summary, pricing)))
    return join(el("div", table, class_="scroll"), el("p", _notes(summary, pricing), class_="note"))


def _kinds(usage: Document, pricing: Document) -> list[tuple[str, int, float]]:
    cached = usage.get("cached_tokens", 0)
    price_in, price_out = pricing.get("inputPerMillion", 0), pricing.get("outputPerMillion", 0)
    kinds = [("Prompts", usage["input_tokens"] - cached, price_in)]
    if cached:
        kinds.append(("Prompts, from a cache", cached, pricing.get("cachedInputPerMillion", price_in)))
    return [*kinds, ("Answers", usage["output_tokens"], price_out)]


def _row(name: str, tokens: int, price: float, pricing: Document | None) -> Html:
    cells = [el("th", name, scope="row"), el("td", wording.whole(tokens), class_="n")]
    if pricing is not None:
        currency = pricing.get("currency", "USD")
        cost = tokens * price / _MILLION
        cells += [
            el("td", wording.money(price, currency), class_="n"),
            el("td", wording.money(cost, currency), class_="n"),
        ]
    return el("tr", *cells)


def _total(summary: Document, pricing: Document | None) -> Html:
    total, cost = summary["usage"]["total_tokens"], summary["cost"]
    cells = [el("th", "Together", scope="row"), el("td", wording.whole(total), class_="n")]
    if pricing is not None:
        said = wording.money(cost["amount"], cost["currency"]) if cost is not None else wording.NONE
        cells += [el("td"), el("td", said, class_="n")]
    return el("tr", *cells, class_="total")


def _notes(summary: Document, pricing: Document | None) -> str:
    usage, items = summary["usage"], summary["items"]
    answered = items["succeeded"] + items["failed"]
    said = []
    if answered:
        each = (f"{usage[f'{kind}_tokens'] / answered:,.0f}" for kind in ("input", "output"))
        said.append("Tokens an item, on average: {} in, {} out.".format(*each))
    if usage.get("reasoning_tokens"):
        said.append(f"{wording.whole(usage['reasoning_tokens'])} tokens of answers were reasoning.")
    if pricing is None:
        said.append("The endpoint has no pricing, so there is no cost.")
    return " ".join(said)
