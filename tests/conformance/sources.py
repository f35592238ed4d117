"""The same items as every kind of input: how they are written, and what of them an engine then sees."""

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from builders import Document
from conformance.places import Place

PROMPT = "{{ kind }}: {{ text }} ({{ n }})"
FORMS = ["inline", "jsonl", "csv", "tsv", "parquet", "openai"]
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
_SCHEMA = pa.schema([
    ("id", pa.string()), ("kind", pa.string()), ("text", pa.string()), ("n", pa.int64()),
    ("deep", pa.struct([("list", pa.list_(pa.int64())), ("price", pa.float64())])),
])  # fmt: skip


def item_of(number: int, kind: str, text: str) -> Document:
    """An item with values of many types."""
    deep = {"list": [number, None], "price": number / 4}
    return {"id": f"t-{number}", "kind": kind, "text": text, "n": number * 10**15, "deep": deep}


def prompt_of(item: Document) -> str:
    """What PROMPT makes of it."""
    return f"{item['kind']}: {item['text']} ({item['n']})"


@dataclass(frozen=True)
class Source:
    """Items in a form, in one object or several."""

    form: str
    cuts: tuple[int, ...] = ()
    """Where one object ends and the next begins; empty for a single object, named itself."""
    packings: tuple[str, ...] = ("",)
    """Of the objects, in turn."""
    group_rows: int = 5
    """Of Parquet."""
    more: Document = field(default_factory=dict)
    """Other fields of `spec.input`."""

    def written(self, items: list[Document], place: Place, folder: str) -> Document:
        """Write them; the `input` of a manifest."""
        if self.form == "inline":
            return {"items": items, **self.more}
        objects = [items[a:b] for a, b in zip((0, *self.cuts), (*self.cuts, len(items)), strict=True)]
        ending = "jsonl" if self.form == "openai" else self.form
        for number, some in enumerate(objects):
            packing = "" if self.form == "parquet" else self.packings[number % len(self.packings)]
            place.put(f"{folder}/{number:03}.{ending}", PACKINGS[packing](self._bytes(some)))
        name = f"{folder}/*.{ending}" if self.cuts else f"{folder}/000.{ending}"
        return {"uri": place.uri(name), **place.settings, **self.more}

    def seen(self, item: Document) -> Document:
        """An item as an engine sees it."""
        match self.form:
            case "csv" | "tsv":
                return {name: str(value) for name, value in item.items() if name != "deep"}
            case "openai":
                messages = [{"role": "user", "content": prompt_of(item)}]
                body = {"model": "m", "messages": messages}
                return {"custom_id": item["id"], "method": "POST", "url": "/v1/chat/completions", "body": body}
            case _:
                return item

    def _bytes(self, items: list[Document]) -> bytes:
        if self.form == "parquet":
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(items, schema=_SCHEMA), sink, row_group_size=self.group_rows)
            return sink.getvalue()
        if self.form in ("csv", "tsv"):
            text = io.StringIO()
            names = [name for name in _SCHEMA.names if name != "deep"]
            writer = csv.DictWriter(text, names, delimiter="\t" if self.form == "tsv" else ",", quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(map(self.seen, items))
            return text.getvalue().encode()
        return b"".join(orjson.dumps(self.seen(item)) + b"\n" for item in items)
