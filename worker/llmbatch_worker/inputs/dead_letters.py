"""The items that failed in another batch, out of its errors.jsonl, to be asked again. Used when a batch is planned."""

from collections.abc import Iterator

import orjson

from llmbatch_contract.errors import InputError, InputMissingError, StoreMissingError
from llmbatch_contract.spec import DeadLettersOf
from llmbatch_worker.inputs.lines import lines_of
from llmbatch_worker.inputs.objects import unpacked_by_content
from llmbatch_worker.stores.protocol import Stores
from llmbatch_worker.stores.uris import DEAD_LETTERS


def name_of(letters: DeadLettersOf) -> str:
    """As it stands in messages."""
    return f"dead letters of {letters.name}"


def items_of(letters: DeadLettersOf, stores: Stores) -> Iterator[bytes]:
    """The items as JSON lines. Raises InputMissingError until the other batch has its errors, and InputError."""
    store, name = stores.open_input(f"{DEAD_LETTERS}{letters.name}")
    try:
        info = store.info(name)
    except InputMissingError as error:
        raise InputMissingError(
            f"batch {letters.name} has no errors.jsonl yet, or there is no such batch in the namespace; let it finish"
        ) from error
    except StoreMissingError as error:
        raise InputMissingError(f"the errors of batch {letters.name} are not there (yet): {error}") from error
    _, blocks = unpacked_by_content(store.blocks(name, 0, info.size, info.etag), name_of(letters))
    for number, line in enumerate(lines_of(blocks, name_of(letters)), 1):
        letter = orjson.loads(line)
        if "item" not in letter:
            raise InputError(
                f"{name_of(letters)}:{number}: holds no item: output.format openai keeps only its id; "
                "give the items of that batch by input.uri or input.configMap"
            )
        if not letters.categories or letter["error"]["category"] in letters.categories:
            yield orjson.dumps(letter["item"], option=orjson.OPT_APPEND_NEWLINE)
