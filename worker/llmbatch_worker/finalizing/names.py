"""Names of the objects that finalize writes into the folder of outputs. Pure."""

import re

from llmbatch_contract.spec import OutputFormat, Packing

REPORT_NAME = "report.json"
SUMMARY_NAME = "summary.json"
UNDELIVERED_NAME = "undelivered.jsonl"
RESULTS_FOLDER = "results/"
MANIFEST_NAME = f"{RESULTS_FOLDER}_manifest.json"
_ENDINGS = {Packing.NONE: "", Packing.GZIP: ".gz", Packing.ZSTD: ".zst"}
_FORMATS = {
    OutputFormat.JSONL: "jsonl",
    OutputFormat.CSV: "csv",
    OutputFormat.PARQUET: "parquet",
    OutputFormat.OPENAI: "jsonl",
}
_ENDING = r"\.(jsonl|csv|parquet)(\.gz|\.zst)?"
_OUTPUT = re.compile(
    rf"results{_ENDING}|errors\.jsonl(\.gz|\.zst)?|summary\.json|report\.json|undelivered\.jsonl|"
    rf"results/|results/(\d{{5,}}{_ENDING}|_manifest\.json)"
)


def results_name(format_: OutputFormat, packing: Packing) -> str:
    """Of all results in one object."""
    return f"results.{_FORMATS[format_]}{_ENDINGS[packing]}"


def shard_name(format_: OutputFormat, packing: Packing, shard: int) -> str:
    """Of the results of one shard."""
    return f"{RESULTS_FOLDER}{shard:05d}.{_FORMATS[format_]}{_ENDINGS[packing]}"


def errors_name(packing: Packing) -> str:
    """Of all dead letters."""
    return f"errors.jsonl{_ENDINGS[packing]}"


def is_output_name(name: object) -> bool:
    """Whether finalize gives such names. Nothing else is ever replaced; `results/` stands for what is in it."""
    return isinstance(name, str) and _OUTPUT.fullmatch(name) is not None
