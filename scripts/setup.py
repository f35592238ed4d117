"""Makes `.venv` with everything that developing, testing and the demo need; run by `make setup`.

Needs nothing but a Python: on systems without pip and ensurepip it fetches pip's wheel from the package index.
Does nothing where `.venv` is up to date. It is written for the standard library of Python 3.8 and up, so that an old
`python3` can start it and it can look for a newer one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple"
UV_VERSION = "0.13.9"
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
OLDEST = (3, 11)
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3", sys.executable)

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".setup-stamp"
LOCK = ROOT / "requirements.lock"
SOURCES = (LOCK, ROOT / "pyproject.toml", Path(__file__).resolve())


class SetupError(Exception):
    """Something this machine lacks; the text says what to do."""


def main() -> int:
    """Bring `.venv` up to date. Returns the exit code."""
    version = version_of(str(VENV_PYTHON))
    place, _, made_from = STAMP.read_text().partition("\n") if STAMP.is_file() else ("", "", "")
    if version and (place, made_from) == (str(VENV), fingerprint(version)):
        return 0
    try:
        set_up(() if was_moved(place) else version)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"setup: failed with exit code {error.returncode}: {shown(error.cmd)}", file=sys.stderr)
        return 1
    return 0


def set_up(version: tuple[int, ...]) -> None:
    """Make the environment where there is no usable one, then install what the lock file says."""
    STAMP.unlink(missing_ok=True)
    environment = tool_environment(dict(os.environ))
    if version < OLDEST:
        make_venv(newest_python())
    if not has_pip():
        install_pip(environment)
    say(f"installing uv {UV_VERSION}")
    run([*in_venv("-m", "pip", "install", "--quiet", "--disable-pip-version-check"), f"uv=={UV_VERSION}"], environment)
    say(f"installing the packages of {LOCK.name}")
    uv = [str(VENV / "bin" / "uv"), "pip"]
    run([*uv, "sync", "--quiet", "--python", str(VENV_PYTHON), "--require-hashes", str(LOCK)], environment)
    say("installing llmbatch itself, editable")
    run([*uv, "install", "--quiet", "--python", str(VENV_PYTHON), "--no-deps", "-e", str(ROOT)], environment)
    STAMP.write_text(f"{VENV}\n{fingerprint(version_of(str(VENV_PYTHON)))}")
    say("done")


def fingerprint(version: tuple[int, ...]) -> str:
    """What the environment is made from: it is stale when this changes."""
    digest = hashlib.sha256(repr(version).encode())
    for source in SOURCES:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def was_moved(place: str) -> bool:
    """Whether the environment was made elsewhere: its scripts would start the Python of that place."""
    return place not in ("", str(VENV))


def newest_python() -> str:
    """The newest Python on the PATH that is new enough."""
    found = {command: version_of(command) for command in CANDIDATES}
    newest = max(found, key=lambda command: found[command])
    if found[newest] < OLDEST:
        needed = ".".join(map(str, OLDEST))
        seen = ", ".join(sorted({".".join(map(str, v)) for v in found.values() if v})) or "none"
        raise SetupError(f"Python {needed} or newer is needed, found: {seen}. Install it so that it is on the PATH.")
    return newest


def version_of(command: str) -> tuple[int, ...]:
    """The version of a Python, or () if it does not run (pyenv, for one, has commands that only print an error)."""
    code = "import sys; print(*sys.version_info[:3])"
    try:
        done = subprocess.run([command, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def make_venv(python: str) -> None:
    """Make an empty environment, without pip where this Python has no ensurepip."""
    version = ".".join(map(str, version_of(python)))
    say(f"making {VENV.name} with Python {version} ({shutil.which(python) or python})")
    command = [python, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "ensurepip" not in done.stdout + done.stderr:
        raise SetupError(f"{shown(command)} failed:\n{done.stdout}{done.stderr}")
    say("this Python has no ensurepip: pip comes from the package index")
    run([*command, "--without-pip"], dict(os.environ))


def has_pip() -> bool:
    """Whether pip runs in the environment."""
    return subprocess.run(in_venv("-m", "pip", "--version"), capture_output=True, check=False).returncode == 0


def install_pip(environment: dict[str, str]) -> None:
    """Fetch pip's wheel and let it install itself: a wheel of pip can be run as it is."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / PIP_WHEEL
        wheel.write_bytes(fetch_pip_wheel(environment))
        say(f"installing {PIP_WHEEL}")
        run([*in_venv(f"{wheel}/pip", "install", "--quiet", "--no-index", "--no-deps"), str(wheel)], environment)


def fetch_pip_wheel(environment: dict[str, str]) -> bytes:
    """The wheel of pip, from the index that pip itself would use."""
    page_url = environment.get("PIP_INDEX_URL", DEFAULT_INDEX).rstrip("/") + "/pip/"
    try:
        page = json.loads(get(page_url, page_url, environment))
    except ValueError as error:
        raise SetupError(f"{host_of(page_url)} has no JSON index (PEP 691); install ensurepip instead") from error
    links = [urllib.parse.urljoin(page_url, file["url"]) for file in page["files"] if file["filename"] == PIP_WHEEL]
    if not links:
        raise SetupError(f"{host_of(page_url)} has no {PIP_WHEEL}")
    content = get(links[0], page_url, environment)
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise SetupError(f"{PIP_WHEEL} from {host_of(links[0])} is not the file it should be: wrong sha256")
    return content


def get(url: str, index_url: str, environment: dict[str, str]) -> bytes:
    """Fetch over HTTP. Name and password in the index's URL go to the index's host only."""
    headers = {"Accept": "application/vnd.pypi.simple.v1+json, */*;q=0.1"}
    account = urllib.parse.urlsplit(index_url)
    if account.username and account.hostname == urllib.parse.urlsplit(url).hostname:
        pair = urllib.parse.unquote(f"{account.username}:{account.password or ''}")
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    request = urllib.request.Request(without_account(url), headers=headers)
    context = ssl.create_default_context(cafile=environment.get("PIP_CERT"))
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as response:
            content: bytes = response.read()
            return content
    except OSError as error:
        raise SetupError(f"cannot fetch {without_account(url)}: {error}") from error


def without_account(url: str) -> str:
    """The URL without name and password."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def host_of(url: str) -> str:
    """The host of a URL, for messages."""
    return urllib.parse.urlsplit(url).hostname or url


def tool_environment(environment: dict[str, str]) -> dict[str, str]:
    """The environment for pip and uv: what is set for one of them holds for the other, too."""
    shared = (("PIP_CERT", "SSL_CERT_FILE"), ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"))
    for one, other in shared:
        value = environment.get(one) or environment.get(other)
        if value:
            environment.setdefault(one, value)
            environment.setdefault(other, value)
    return environment


def in_venv(*arguments: str) -> list[str]:
    """A command line of the environment's Python."""
    return [str(VENV_PYTHON), *arguments]


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command to its end; its output goes to the terminal."""
    subprocess.run(command, env=environment, check=True)


def shown(command: list[str]) -> str:
    """A command line as text."""
    return " ".join(command)


def say(text: str) -> None:
    """One line of progress."""
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
