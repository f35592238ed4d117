"""What a pod was given: no Secret, whatever its name, takes the place of the pod's own paths."""

from pathlib import Path

import pytest

from llmbatch_contract.endpoint import SecretKey
from llmbatch_contract.pods import INPUT_FOLDER, LAST_WORDS_PATH, TOKEN_FOLDER, TOKEN_NAME, Stage
from llmbatch_worker.pods.setting import read_setting


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(SecretKey(name="llmbatch", key="token"), id="token"),
        pytest.param(SecretKey(name="llmbatch", key="input-folder"), id="input folder"),
        pytest.param(SecretKey(name="llmbatch", key="last-words"), id="last words"),
    ],
)
def test_a_key_named_like_a_variable_of_ours_is_not_taken_for_it(secret: SecretKey) -> None:
    setting = read_setting(Stage.SHARD, Path("config"), None, {secret.env_name: "sk-secret"})
    assert str(setting.token_file) == f"{TOKEN_FOLDER}/{TOKEN_NAME}"
    assert (str(setting.input_folder), str(setting.last_words)) == (INPUT_FOLDER, LAST_WORDS_PATH)
