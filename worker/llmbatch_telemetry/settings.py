"""What the standard OTEL_* variables ask for, as values. A word that makes no sense is reported and its signal is off.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and, for OTLP,
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Knows nothing of OpenTelemetry's packages.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote, urlsplit, urlunsplit

from llmbatch_telemetry import names


class SettingError(Exception):
    """A variable whose value makes no sense, in a sentence."""


class Protocol(StrEnum):
    """How a signal travels."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


_LEAST_SECRET = 6
"""Shorter values of headers, as the name of a tenant, are none; without them sentences could not be read."""


class Temporality(StrEnum):
    """What counters and histograms tell: totals since the start, or what came since the last export."""

    CUMULATIVE = "cumulative"
    DELTA = "delta"
    LOW_MEMORY = "lowmemory"


@dataclass(frozen=True)
class Signal:
    """Where one signal goes, and how."""

    endpoint: str
    protocol: Protocol
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: str | None = None
    """Path of a file with the authorities to trust."""
    client_certificate: str | None = None
    client_key: str | None = None
    insecure: bool | None = None
    """For gRPC and an endpoint that names no scheme."""
    timeout_s: float = 10.0
    gzip: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may not stand in a log: values of headers, and a user and a query in the endpoint."""
        rest = self.endpoint.rpartition("://")[2]
        user = rest.partition("/")[0].rpartition("@")[0]
        found = (*self.headers.values(), *(value.strip() for value in self.headers.values()))
        return tuple(s for s in (*found, user, rest.partition("?")[2]) if len(s) >= _LEAST_SECRET)


@dataclass(frozen=True)
class Queue:
    """How spans wait."""

    size: int = 10_000
    batch: int = 512
    delay_s: float = 5.0


@dataclass(frozen=True)
class Settings:
    """Everything. A signal that is None is off."""

    traces: Signal | None = None
    metrics: Signal | None = None
    queue: Queue = Queue()
    temporality: Temporality = Temporality.CUMULATIVE
    interval_s: float = 60.0
    """Between two exports of metrics."""
    problems: tuple[str, ...] = ()
    """What is wrong with variables, one sentence each."""

    @property
    def is_on(self) -> bool:
        """Whether anything is exported."""
        return self.traces is not None or self.metrics is not None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings of a process. Never raises: what is wrong is in `problems`, and its signal is off."""
    # The specification has it so: an empty variable counts as not set.
    variables = {name: value.strip() for name, value in environment.items() if value.strip()}
    disabled = variables.get("OTEL_SDK_DISABLED", "false")
    if disabled.lower() == "true":
        return Settings()
    problems = [] if disabled.lower() == "false" else [f"OTEL_SDK_DISABLED is {disabled!r}, which counts as false"]
    traces, queue = Settings.traces, Settings.queue
    try:
        if (signal := _signal(variables, "TRACES")) is not None and _keeps_traces(variables, problems):
            queue = _queue(variables)
            traces = signal
    except SettingError as error:
        problems.append(f"{error}; no traces are exported")
    metrics, temporality, interval_s = Settings.metrics, Settings.temporality, Settings.interval_s
    try:
        if (signal := _signal(variables, "METRICS")) is not None:
            temporality = _temporality(variables)
            interval_s = _milliseconds(variables, 60_000, "OTEL_METRIC_EXPORT_INTERVAL")
            metrics = signal
    except SettingError as error:
        problems.append(f"{error}; no metrics are exported")
    return Settings(traces, metrics, queue, temporality, interval_s, tuple(problems))


def resource_attributes(
    environment: Mapping[str, str], service: str, known: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """What describes this process, and problems. What a user sets comes before what the program knows of itself."""
    own = {names.SERVICE_NAME: service} | {key: value for key, value in known.items() if value}
    try:
        own |= _pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""), "OTEL_RESOURCE_ATTRIBUTES")
        problems = []
    except SettingError as error:
        problems = [f"{error}; it is ignored"]
    if name := environment.get("OTEL_SERVICE_NAME", "").strip():
        own[names.SERVICE_NAME] = name
    return own, problems


def _signal(variables: Mapping[str, str], name: str) -> Signal | None:
    """A signal that is asked for by an endpoint or by name."""
    exporter = variables.get(f"OTEL_{name}_EXPORTER", "").lower()
    if exporter not in ("", "otlp", "none"):
        raise SettingError(f"OTEL_{name}_EXPORTER is {exporter!r}, but can be otlp or none")
    own = f"OTEL_EXPORTER_OTLP_{name}_"
    has_endpoint = f"{own}ENDPOINT" in variables or "OTEL_EXPORTER_OTLP_ENDPOINT" in variables
    if exporter == "none" or not (has_endpoint or exporter == "otlp"):
        return None

    def names_of(what: str) -> tuple[str, str]:
        """A variable of this signal and the one of all."""
        return f"{own}{what}", f"OTEL_EXPORTER_OTLP_{what}"

    protocol = Protocol(_one_of(variables, Protocol, Protocol.HTTP, *names_of("PROTOCOL")))
    return Signal(
        endpoint=_endpoint(variables, name.lower(), protocol, *names_of("ENDPOINT")),
        protocol=protocol,
        headers=_headers(variables, *names_of("HEADERS")),
        certificate=_first(variables, *names_of("CERTIFICATE"))[1],
        client_certificate=_first(variables, *names_of("CLIENT_CERTIFICATE"))[1],
        client_key=_first(variables, *names_of("CLIENT_KEY"))[1],
        insecure=_truth(variables, *names_of("INSECURE")),
        timeout_s=_milliseconds(variables, 10_000, *names_of("TIMEOUT")),
        gzip=_one_of(variables, ("none", "gzip"), "none", *names_of("COMPRESSION")) == "gzip",
    )


def _endpoint(variables: Mapping[str, str], signal: str, protocol: Protocol, own: str, general: str) -> str:
    """The URL to send to: a general one is the root of the paths of HTTP."""
    name, value = _first(variables, own, general)
    if protocol is Protocol.GRPC:
        return value if value is not None else "http://localhost:4317"
    url = value if value is not None else "http://localhost:4318"
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_http = False
    if not is_http:
        raise SettingError(f"{name} is {without_secrets(url)!r}, which is no URL with http:// or https://")
    return url if name == own else _below(url, f"/v1/{signal}")


def _below(url: str, path: str) -> str:
    """A path below that of a URL, which may have a query after it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.removesuffix("/") + path))


def without_secrets(endpoint: str) -> str:
    """A URL may carry a password before its host, or a key after its path."""
    scheme, separator, rest = endpoint.partition("://")
    if not separator:
        scheme, rest = "", endpoint
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2].partition("?")[0]
    return f"{scheme}{separator}{host}{slash}{path.partition('?')[0]}"


def _headers(variables: Mapping[str, str], own: str, general: str) -> dict[str, str]:
    name, value = _first(variables, own, general)
    return {key.lower(): text for key, text in _pairs(value or "", name).items()}


def _pairs(text: str, name: str) -> dict[str, str]:
    """`key=value,key=value`, percent-encoded. The text is not repeated in the error, since it may be a secret."""
    pairs: dict[str, str] = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()), unquote(value.strip())
        if not equals or not key or not (key + value).isprintable():
            raise SettingError(f"{name} is not a list of key=value with commas between")
        pairs[key] = value
    return pairs


def _keeps_traces(variables: Mapping[str, str], problems: list[str]) -> bool:
    """Whether the sampler lets any traces through. All or nothing: which items have spans, the manifest says."""
    name = "OTEL_TRACES_SAMPLER"
    sampler = variables.get(name, "always_on").lower()
    if sampler not in ("always_on", "parentbased_always_on", "always_off"):
        choice = "always_on, parentbased_always_on or always_off"
        problems.append(f"{name} is {sampler!r}, but can be {choice}; it is ignored, see spec.telemetry.sampledItems")
    return sampler != "always_off"


def _queue(variables: Mapping[str, str]) -> Queue:
    size = _count(variables, Queue.size, "OTEL_BSP_MAX_QUEUE_SIZE")
    batch = _count(variables, Queue.batch, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
    return Queue(size, min(batch, size), _milliseconds(variables, 5_000, "OTEL_BSP_SCHEDULE_DELAY"))


def _temporality(variables: Mapping[str, str]) -> Temporality:
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    return Temporality(_one_of(variables, Temporality, Temporality.CUMULATIVE, name))


def _one_of(variables: Mapping[str, str], choice: type[StrEnum] | tuple[str, ...], default: str, *of: str) -> str:
    name, value = _first(variables, *of)
    words = [str(word) for word in choice]
    if value is None or value.lower() in words:
        return default if value is None else value.lower()
    raise SettingError(f"{name} is {value!r}, but can be {' or '.join(words)}")


def _truth(variables: Mapping[str, str], *of: str) -> bool | None:
    _, value = _first(variables, *of)
    return None if value is None else value.lower() == "true"


def _milliseconds(variables: Mapping[str, str], default: float, *of: str) -> float:
    """A time in milliseconds, as the specification has them all; in seconds, and at most a day."""
    name, value = _first(variables, *of)
    try:
        number = default if value is None else float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise SettingError(f"{name} is {value!r}, which is no number of milliseconds")
    return min(number / 1000, 86_400.0)


def _count(variables: Mapping[str, str], default: int, name: str) -> int:
    value = variables.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdecimal() or len(value) > 20 or not 0 < int(value) <= 1_000_000:
        raise SettingError(f"{name} is {value[:20]!r}, which is no number between 1 and 1,000,000")
    return int(value)


def _first(variables: Mapping[str, str], *of: str) -> tuple[str, str | None]:
    """The first variable that is set, with its value; else the last one's name."""
    return next(((name, variables[name]) for name in of if name in variables), (of[-1], None))
