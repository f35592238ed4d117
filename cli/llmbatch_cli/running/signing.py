"""The key that a local run signs delivered results with: from the environment."""

import os

from llmbatch_contract.errors import MissingSecretError
from llmbatch_contract.signing import check_key
from llmbatch_contract.spec import LLMBatchSpec

VARIABLE = "LLMBATCH_SIGNING_KEY"
_HOW = f'make one with `export {VARIABLE}="whsec_$(openssl rand -base64 32)"`, and give it to the receiver'


def signing_key() -> str | None:
    """The key; None: there is none."""
    return os.environ.get(VARIABLE, "").strip() or None


def check_signing_key(spec: LLMBatchSpec) -> None:
    """Raise MissingSecretError if the batch delivers its results, and there is no key or a wrong one."""
    if spec.deliver is None:
        return
    key = signing_key()
    if key is None:
        raise MissingSecretError(f"spec.deliver: the environment variable {VARIABLE} is not set; {_HOW}")
    try:
        check_key(key)
    except ValueError as error:
        raise MissingSecretError(f"spec.deliver: the environment variable {VARIABLE} {error}; {_HOW}") from None
