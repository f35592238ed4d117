"""What a pod was given: its configuration file, and the paths and names in its environment."""

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pydantic

from llmbatch_contract.errors import InvalidError
from llmbatch_contract.pods import (
    CA_FOLDER,
    CREDENTIALS_FOLDER,
    INPUT_FOLDER,
    JOB_VARIABLE,
    LAST_WORDS_PATH,
    NODE_VARIABLE,
    POD_NAME_VARIABLE,
    POD_UID_VARIABLE,
    SIGNING_KEY_VARIABLE,
    TOKEN_FOLDER,
    TOKEN_NAME,
    VOLUMES_FOLDER,
    PodConfig,
    Stage,
)
from llmbatch_contract.reports import StopReason
from llmbatch_worker.observing.resources import Place


@dataclass(frozen=True)
class Setting:
    """Where a stage runs. The variables with _LLMBATCH_ are for tests; Kubernetes sets the others.

    They begin with `_` as no variable does that is named after the Secret of an API key.
    """

    stage: Stage
    config: Path
    stop: str | None
    """Why the batch ended early, for finalize: a StopReason as JSON."""
    place: Place
    """The pod and where it runs; its name stands in reports and claims."""
    index: str
    """Of an Indexed Job; empty outside one."""
    token_file: Path
    input_folder: Path
    last_words: Path
    volumes_folder: Path = Path(VOLUMES_FOLDER)
    credentials_folder: Path = Path(CREDENTIALS_FOLDER)
    ca_folder: Path = Path(CA_FOLDER)
    signing_key: str | None = field(default=None, repr=False)
    """Of delivered results; None: the namespace has none."""


def read_setting(stage: Stage, config: Path, stop: str | None, environment: Mapping[str, str] = os.environ) -> Setting:
    """The setting of this process."""
    return Setting(
        stage=stage,
        config=config,
        stop=stop,
        place=Place(
            pod=environment.get(POD_NAME_VARIABLE, "pod"),
            pod_uid=environment.get(POD_UID_VARIABLE, ""),
            node=environment.get(NODE_VARIABLE, ""),
            job=environment.get(JOB_VARIABLE, ""),
        ),
        index=environment.get("JOB_COMPLETION_INDEX", ""),
        token_file=Path(environment.get("_LLMBATCH_TOKEN", f"{TOKEN_FOLDER}/{TOKEN_NAME}")),
        input_folder=Path(environment.get("_LLMBATCH_INPUT_FOLDER", INPUT_FOLDER)),
        last_words=Path(environment.get("_LLMBATCH_LAST_WORDS", LAST_WORDS_PATH)),
        volumes_folder=Path(environment.get("_LLMBATCH_VOLUMES", VOLUMES_FOLDER)),
        credentials_folder=Path(environment.get("_LLMBATCH_CREDENTIALS", CREDENTIALS_FOLDER)),
        ca_folder=Path(environment.get("_LLMBATCH_CA", CA_FOLDER)),
        signing_key=environment.get(SIGNING_KEY_VARIABLE),
    )


def read_stop(text: str | None) -> StopReason | None:
    """The reason given to finalize. Raises InvalidError."""
    try:
        return None if text is None else StopReason.load(text.encode())
    except pydantic.ValidationError as error:
        raise InvalidError(f"--stop {text}: must be a reason with category and message, as JSON") from error


def read_config(path: Path) -> PodConfig:
    """The configuration that the operator wrote. Raises InvalidError."""
    try:
        return PodConfig.load(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, pydantic.ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is of another version or damaged"
        raise InvalidError(f"the pod's configuration {path}: {reason}") from error
