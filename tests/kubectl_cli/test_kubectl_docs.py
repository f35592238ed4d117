"""docs/kubectl.md names every command and option, and no other; and the command starts fast."""

import re
import subprocess
import sys
from pathlib import Path

import typer

from llmbatch_cli.kubectl.main import app

_PAGE = (Path(__file__).parents[2] / "docs" / "kubectl.md").read_text()
_SLOW = {"rich", "pydantic", "yaml", "asyncio", "llmbatch_worker", "llmbatch_contract.spec"}


def options_of_commands() -> dict[str, set[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return {name: {o for p in c.params for o in p.opts if o.startswith("-")} for name, c in group.commands.items()}


def test_every_command_and_option_is_on_the_page() -> None:
    commands = options_of_commands()
    told = set(re.findall(r"(?<=`)-[-a-zA-Z]+", _PAGE))
    assert [command for command in commands if f"`{command}" not in _PAGE] == []
    assert set().union(*commands.values()) - told == set()


def test_the_page_names_no_command_that_does_not_exist() -> None:
    assert set(re.findall(r"kubectl llmbatch ([a-z]+)", _PAGE)) <= options_of_commands().keys()


def test_a_command_starts_without_what_is_slow_to_import() -> None:
    code = "import sys, llmbatch_cli.kubectl.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert _SLOW & set(loaded.split()) == set()
