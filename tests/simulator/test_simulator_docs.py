"""The page about the simulator says all there is, and nothing else."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from llmbatch_cli.simulator import Category, SimulatorSettings, Stats
from llmbatch_cli.simulator.command import simulate
from llmbatch_cli.simulator.fate import read_directives

_PAGE = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text()


def _first_column(heading: str) -> list[str]:
    section = _PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def _options() -> list[str]:
    app = typer.Typer()
    app.command()(simulate)
    command = typer.main.get_command(app)
    return [option for each in command.params for option in each.opts if option.startswith("--")]


def test_every_option_is_in_the_table() -> None:
    documented = _first_column("Options")
    options = [option for option in _options() if "completion" not in option and option != "--help"]
    assert sorted(documented) == sorted(options)


def test_every_setting_has_an_option() -> None:
    settings = {each.name for each in fields(SimulatorSettings)} - {"models"} | {"model"}
    assert settings == {option.removeprefix("--").replace("-", "_") for option in _first_column("Options")}


def test_every_category_is_in_the_table() -> None:
    assert _first_column("Failure categories") == list(Category)


def test_every_statistic_is_in_the_table() -> None:
    assert sorted(_first_column("Stats")) == sorted(Stats().as_json(with_keys=True))


@pytest.mark.parametrize("directive", _first_column("Directives in a prompt"))
def test_every_directive_shown_is_understood(directive: str) -> None:
    assert read_directives([directive]) != read_directives([])
