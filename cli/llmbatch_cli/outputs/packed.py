"""Outputs that are packed: named for who gets them as they are, unpacked for who looks into them."""

from collections.abc import Iterator

from llmbatch_cli.outputs.joining import joined
from llmbatch_cli.outputs.objects import Output

_PACKINGS = {".gz": "gzip", ".zst": "zstd"}


def unpacked_blocks(output: Output) -> Iterator[bytes]:
    """An output of text, in blocks, whatever it is packed with."""
    packing = _packing(output)
    if not packing:
        return joined(output)
    from llmbatch_contract.input import Packing
    from llmbatch_worker.inputs.unpacking import unpacked

    return unpacked(joined(output), Packing(packing), output.name)


def note_of(output: Output) -> str:
    """What to know of an output that is not text; empty where it is."""
    if packing := _packing(output):
        return f"{_name(output)} comes as it is stored, packed with {packing}"
    is_one = len(output.objects) == 1  # many make no file: `joined` says so
    return f"{_name(output)} comes as it is stored" if is_one and _name(output).endswith(".parquet") else ""


def _packing(output: Output) -> str:
    return next((packing for ending, packing in _PACKINGS.items() if _name(output).endswith(ending)), "")


def _name(output: Output) -> str:
    return output.objects[0].name if output.objects else output.name
