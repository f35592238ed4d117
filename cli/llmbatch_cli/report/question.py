"""What was asked: model, words, parameters, input and outputs. Pure."""

import json
from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.markup import Html, el, join

Document = dict[str, Any]


def question(summary: Document) -> Html:
    """The request, then where items came from and where answers went."""
    configuration = summary["configuration"]
    request = configuration.get("request") or {}
    words = [_words(name, text) for name, text in _texts(request)]
    return join(
        _rows(_asked(configuration, request)), *words, el("h3", "Input and outputs"), _rows(_places(summary)),
        el("details", el("summary", "The manifest’s spec"), el("pre", _json(_shown(configuration)))),
    )  # fmt: skip


def _asked(configuration: Document, request: Document) -> list[tuple[str, object]]:
    parameters = request.get("parameters") or {}
    rows: list[tuple[str, object]] = [
        ("Model", configuration.get("model") or "named by each item"),
        ("Endpoint", wording.without_query(configuration["endpoint"].get("url", wording.NONE))),
        ("API", request.get("api") or "named by each item"),
    ]
    rows += [
        (name, el("code", value if isinstance(value, str) else _json(value))) for name, value in parameters.items()
    ]
    limits = configuration["endpoint"].get("limits") or {}
    rows += [(_LIMITS.get(name, name), wording.whole(value)) for name, value in limits.items()]
    return rows


_LIMITS = {
    "requestsPerMinute": "Limit, requests a minute",
    "tokensPerMinute": "Limit, tokens a minute",
    "inputTokensPerMinute": "Limit, prompt tokens a minute",
    "concurrency": "Limit, requests in flight",
}


def _texts(request: Document) -> list[tuple[str, str]]:
    texts = [(name, request[name]) for name in ("system", "prompt") if request.get(name)]
    texts += [(m.get("role", ""), m.get("content", "")) for m in request.get("messages") or []]
    found = [(name, value if isinstance(value, str) else _json(value)) for name, value in texts]
    schema = request.get("responseSchema")
    return [*found, *([("response schema", _json(schema))] if schema is not None else [])]


def _words(name: str, text: str) -> Html:
    return join(el("h3", name.capitalize()), el("pre", text, dir="auto"))


def _places(summary: Document) -> list[tuple[str, object]]:
    source, output = summary["input"], summary["output"]
    rows: list[tuple[str, object]] = [
        ("Input", el("bdi", wording.without_query(source["uri"]))),
        (
            "Input’s size",
            f"{wording.plural(source['items'], 'item')}, {wording.size(source['bytes'])}, {source['format']}",
        ),
        ("Input’s SHA-256", el("code", source["sha256"])),
    ]
    for kind in ("results", "errors"):
        written = output[kind]
        size = f"{wording.plural(written['records'], 'record')}, {wording.size(written['bytes'])}"
        rows += [(kind.capitalize(), join(el("bdi", written["uri"]), el("span", f" · {size}", class_="note")))]
        rows += [(f"{kind.capitalize()}’ SHA-256", el("code", written["sha256"]))]
    return [*rows, ("Run", el("code", summary["uid"])), ("LLMBatch", summary["versions"].get("llmbatch", wording.NONE))]


def _rows(rows: list[tuple[str, object]]) -> Html:
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in rows), class_="rows")


def _shown(configuration: Document) -> Document:
    """Without what is not for every reader of a report: variables of pods, headers, signatures in URLs."""
    shown = {key: value for key, value in configuration.items() if key != "worker"}
    endpoint = {key: value for key, value in configuration["endpoint"].items() if key != "headers"}
    shown["endpoint"] = endpoint | {"url": wording.without_query(endpoint["url"])} if "url" in endpoint else endpoint
    if isinstance(uri := configuration["input"].get("uri"), str):
        shown["input"] = configuration["input"] | {"uri": wording.without_query(uri)}
    return shown


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
