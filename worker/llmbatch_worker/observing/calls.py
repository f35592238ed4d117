"""Whom an item asks and for what, as spans and metrics name it. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from llmbatch_contract.records import Item
from llmbatch_contract.spec import Api, InputFormat, LLMBatchSpec
from llmbatch_worker.inputs.openai_batch import api_of
from llmbatch_worker.observing.providers import provider_of

MOST_MODELS = 20
"""Models that have series of their own, where the items name them; the others' series name none."""

_MOST_CHARS = 200
"""Of a model that an item names, whatever it writes there."""

_OPERATIONS = {
    Api.CHAT: "chat",
    Api.RESPONSES: "chat",
    Api.COMPLETIONS: "text_completion",
    Api.EMBEDDINGS: "embeddings",
}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Server:
    """The endpoint."""

    provider: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Call:
    """A kind of call."""

    operation: str
    model: str
    server: Server
    url: str
    """Without query and credentials."""
    series: tuple[str, str, str, str, str]
    """Operation, provider, model, host and port, as the attributes of metrics."""

    @property
    def name(self) -> str:
        """Of an item's span."""
        return f"{self.operation} {self.model}" if self.model else self.operation


class Calls:
    """The kinds of call of one batch."""

    def __init__(self, spec: LLMBatchSpec, input_format: InputFormat) -> None:
        self._url = spec.endpoint.base_url
        self._model = spec.model
        self._api = spec.request.api if spec.request is not None else Api.CHAT
        self._known: dict[tuple[Api, str], Call] = {}
        self.server = server_of(self._url, spec.endpoint.provider)
        is_asked_by_items = input_format is InputFormat.OPENAI
        self._only = None if is_asked_by_items else self._make(self._api, self._model or "", has_series=True)

    def of(self, item: Item) -> Call:
        """The call about an item."""
        if self._only is not None:
            return self._only
        key = self._asked_by(item)
        call = self._known.get(key)
        if call is None:
            call = self._make(*key, has_series=len(self._known) < MOST_MODELS)
            if len(self._known) < MOST_MODELS:
                self._known[key] = call
        return call

    def _asked_by(self, item: Item) -> tuple[Api, str]:
        """An item that is a whole request."""
        return api_of(item), self._model or str(item["body"].get("model") or "")[:_MOST_CHARS]

    def _make(self, api: Api, model: str, *, has_series: bool) -> Call:
        operation, server = _OPERATIONS[api], self.server
        series = (operation, server.provider, model if has_series else "", server.host, str(server.port))
        return Call(operation, model, server, plain_url(f"{self._url}{api.path}"), series)


def server_of(url: str, provider: str | None = None) -> Server:
    """The endpoint at a URL; of which provider, if that was said."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return Server(provider or provider_of(host), host, parts.port or _PORTS.get(parts.scheme, 443))


def plain_url(url: str) -> str:
    """A URL without query, fragment and credentials."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
