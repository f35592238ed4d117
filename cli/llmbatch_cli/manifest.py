"""Reads a manifest file as a Job: YAML with line numbers, and paths made absolute. Raises ManifestError."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from llmbatch_contract.errors import InvalidError, ManifestError, Problem
from llmbatch_contract.job import Job
from llmbatch_contract.llmendpoint import KIND as ENDPOINT_KIND
from llmbatch_contract.llmendpoint import LLMEndpoint
from llmbatch_contract.spec import KIND, LLMBatch, LLMBatchSpec
from llmbatch_contract.storage import OBJECT_SCHEMES, WEB_SCHEMES, scheme_of
from llmbatch_contract.validation import Location, check_endpoint, check_manifest

STATE_FOLDER = ".llmbatch"
"""In a folder of outputs."""

_READ = (*OBJECT_SCHEMES, *WEB_SCHEMES)

_FIELD = re.compile(r"(spec\.[A-Za-z0-9_.\[\]]+): (.*)", re.DOTALL)
_REF: Location = ("spec", "endpoint", "ref")
_MAX_COST: Location = ("spec", "budget", "maxCost")


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: dates are text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_job(path: Path, state: Path | None = None) -> Job:
    """The job of a manifest file; `state` is where working objects go.

    By default that is a folder in the output, or `NAME-state` beside the manifest if the output is in a store.
    """
    batch = read_manifest(path)
    base, spec, name = path.resolve().parent, batch.spec, batch.metadata.name
    with naming_lines(path):
        _check_is_here(spec, str(path))
        uri = None if spec.input.uri is None else _absolute(spec.input.uri, base, str(path), "spec.input.uri", _READ)
        output = _absolute(spec.output.uri or f"{name}-output", base, str(path), "spec.output.uri", OBJECT_SCHEMES)
    places = {
        "input": spec.input.model_copy(update={"uri": uri}),
        "output": spec.output.model_copy(update={"uri": output}),
    }
    if state is not None:
        store = state.resolve().as_uri()
    elif output.startswith("file:"):
        store = f"{output.rstrip('/')}/{STATE_FOLDER}"
    else:
        store = (base / f"{name}-state").as_uri()
    return Job(
        batch=batch.model_copy(update={"spec": spec.model_copy(update=places)}), store_uri=store, output_uri=output
    )


def read_manifest(path: Path) -> LLMBatch:
    """The one LLMBatch in a file. An LLMEndpoint that it refers to has to be in the same file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ManifestError(str(path), (Problem("", f"cannot be read: {reason}"),)) from error
    documents = _documents(text, path)
    document, lines = _the_batch(documents, path)
    batch = check_manifest(document, str(path), lines)
    return batch if batch.spec.endpoint.ref is None else _with_endpoint(batch, documents, lines, path)


@contextmanager
def naming_lines(path: Path) -> Iterator[None]:
    """What is found wrong with a field in the block, as with an expression, is said with its line in the manifest."""
    try:
        yield
    except InvalidError as error:
        problems = error.problems if isinstance(error, ManifestError) else _problem_with_field(str(error))
        if not problems or any(problem.line for problem in problems):
            raise
        _, lines = _the_batch(_documents(path.read_text(encoding="utf-8"), path), path)
        found = tuple(Problem(p.path, p.message, _line_of(p.path, lines)) for p in problems)
        raise ManifestError(str(path), found) from error


def _problem_with_field(text: str) -> tuple[Problem, ...]:
    """Of a sentence that begins with a field, as in `spec.output.fields: …`."""
    named = _FIELD.fullmatch(text)
    return (Problem(named[1], named[2]),) if named else ()


def _line_of(field: str, lines: dict[Location, int]) -> int | None:
    """Of the field, or of the innermost one around it that the manifest has."""
    names = [int(name) if name.isdigit() else name for name in re.findall(r"[^.\[\]]+", field)]
    around = (lines.get(tuple(names[:length])) for length in range(len(names), 1, -1))
    return next((line for line in around if line is not None), None)


Document = tuple[object, dict[Location, int]]
"""What a YAML document says, and the lines of its fields."""


def _documents(text: str, path: Path) -> list[Document]:
    try:
        return [_read(node) for node in yaml.compose_all(text, Loader=_Loader)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "; put quotes around {{ }}" if "unhashable" in str(error.problem) else ""
        problem = Problem("", f"is not valid YAML: {error.problem}{hint}", mark.line + 1 if mark else None)
        raise ManifestError(str(path), (problem,)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ManifestError(str(path), (Problem("", f"is not valid YAML: {error}"),)) from error
    except RecursionError as error:
        raise ManifestError(str(path), (Problem("", "is not valid YAML: an alias holds itself"),)) from error


def _read(node: yaml.Node) -> Document:
    loader = _Loader("")
    lines: dict[Location, int] = {}
    try:
        _note_lines(node, (), lines)
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _the_batch(documents: list[Document], path: Path) -> Document:
    """The document to run: the only one, or the only LLMBatch among several."""
    if len(documents) <= 1:
        return documents[0] if documents else (None, {})
    batches = [d for d in documents if isinstance(d[0], dict) and d[0].get("kind") == KIND]
    if len(batches) != 1:
        found = f"holds {len(batches)} LLMBatches in {len(documents)} documents"
        raise ManifestError(str(path), (Problem("", f"{found}; give one to a file"),))
    return batches[0]


def _with_endpoint(batch: LLMBatch, documents: list[Document], lines: dict[Location, int], path: Path) -> LLMBatch:
    """The batch with the LLMEndpoint's URL, key, limits and prices in place of its name."""
    spec = batch.spec
    endpoint = _endpoint_named(str(spec.endpoint.ref), documents, path)
    if endpoint is None:
        message = (
            f"there is no LLMEndpoint {spec.endpoint.ref} in this file: add it as a document of its own, after ---"
        )
        raise ManifestError(str(path), (Problem("spec.endpoint.ref", message, lines.get(_REF)),))
    resolved = endpoint.spec.endpoint_of(spec.model)
    if spec.budget is not None and spec.budget.max_cost is not None and resolved.pricing is None:
        message = f"needs prices: the LLMEndpoint {spec.endpoint.ref} has none for {spec.model or 'all models'}"
        raise ManifestError(str(path), (Problem("spec.budget.maxCost", message, lines.get(_MAX_COST)),))
    return batch.model_copy(update={"spec": spec.model_copy(update={"endpoint": resolved})})


def _endpoint_named(name: str, documents: list[Document], path: Path) -> LLMEndpoint | None:
    for document, lines in documents:
        if isinstance(document, dict) and document.get("kind") == ENDPOINT_KIND:
            endpoint = check_endpoint(document, str(path), lines)
            if endpoint.metadata.name == name:
                return endpoint
    return None


def _note_lines(node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            lines[inner] = key.start_mark.line + 1
            _note_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[(*location, number)] = value.start_mark.line + 1
            _note_lines(value, (*location, number), lines)


def _check_is_here(spec: LLMBatchSpec, source: str) -> None:
    """Refuse what only a cluster has."""
    elsewhere = (
        ("input.configMap", spec.input.config_map, "give items or uri"),
        ("input.deadLettersOf", spec.input.dead_letters_of, "give items or uri"),
        ("input.pvc", spec.input.pvc, "give the path of the files as uri"),
        ("output.pvc", spec.output.pvc, "give the path of a folder as uri"),
    )
    problems = [Problem(f"spec.{f}", f"exists on a cluster only; {hint}") for f, value, hint in elsewhere if value]
    if problems:
        raise ManifestError(source, tuple(problems))


def _absolute(uri: str, base: Path, source: str, field: str, schemes: Sequence[str]) -> str:
    """A URI with one of these schemes as it is; a path as a file:// URI, with a `/` at its end if it has one."""
    scheme = scheme_of(uri)
    if scheme and scheme not in ("file", *schemes):
        known = ", ".join(f"{each}://" for each in schemes)
        raise ManifestError(source, (Problem(field, f"{scheme}:// is not supported; give a path, {known}"),))
    return uri if scheme else (base / uri).resolve().as_uri() + "/" * uri.endswith("/")
