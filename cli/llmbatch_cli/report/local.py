"""The page about a local run, from the files in its output folder. Called by `llmbatch run --report`."""

from pathlib import Path

from llmbatch_cli.report.page import page_of
from llmbatch_contract.errors import InvalidError, StateMismatchError
from llmbatch_contract.job import Job
from llmbatch_worker.finalizing.finalizer import REPORT_NAME, SUMMARY_NAME
from llmbatch_worker.stores.opening import local_stores


def check_place(file: Path) -> None:
    """Say before the run, not after it, that the page cannot be written. Raises InvalidError."""
    if not file.absolute().parent.is_dir():
        raise InvalidError(f"--report: there is no folder {file.parent}")
    if file.is_dir():
        raise InvalidError(f"--report: {file} is a folder")


def local_page(job: Job) -> str:
    """The page about a batch that is finished. Raises StateMismatchError, StoreError."""
    output = local_stores(job.batch).open(job.output_uri)
    if not output.exists(REPORT_NAME):
        raise StateMismatchError(
            f"this batch was finished by a version of llmbatch that wrote no {REPORT_NAME}; remove "
            f"{output.where(SUMMARY_NAME)} and run again to have one: nothing is asked again"
        )
    return page_of(output.read(SUMMARY_NAME), output.read(REPORT_NAME))
