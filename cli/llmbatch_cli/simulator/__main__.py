"""`python -m llmbatch_cli.simulator`: the command by itself."""

import typer

from llmbatch_cli.simulator.command import simulate

if __name__ == "__main__":
    typer.run(simulate)
