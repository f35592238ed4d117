"""Finds a Chromium for the tests of pages, or fetches Debian's into a folder of its own, where nothing is installed.

`chromium_program()` is the program and the environment to start it in. LLMBATCH_TEST_CHROMIUM names another one.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.cluster_process import alone

CACHE = Path.home() / ".cache" / "llmbatch-browser"
_NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-headless-shell")
_PACKAGES = ("chromium-headless-shell", "fonts-liberation")
_PROGRAM = Path("usr/lib/chromium/chromium-headless-shell")
_FETCH_TIMEOUT_S = 600
_HOW = "install Chromium or set LLMBATCH_TEST_CHROMIUM to the path of one"
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>{fonts}</dir><cachedir>{cache}</cachedir>
<alias><family>monospace</family><prefer><family>Liberation Mono</family></prefer></alias>
<match><edit name="family" mode="append_last"><string>Liberation Sans</string></edit></match>
</fontconfig>
"""


class NoChromiumError(Exception):
    """There is none to be had; the text says how to give one."""


@dataclass(frozen=True)
class Program:
    """A Chromium."""

    path: str
    environment: dict[str, str]


def chromium_program() -> Program:
    """The one that is named, else one that is installed, else Debian's. Raises NoChromiumError."""
    if given := os.environ.get("LLMBATCH_TEST_CHROMIUM"):
        return Program(given, {})
    if found := next(filter(None, map(shutil.which, _NAMES)), None):
        return Program(found, {})
    with alone(CACHE / "lock"):
        if not (CACHE / "root" / _PROGRAM).exists():
            _fetch()
    return _fetched(CACHE / "root")


def _fetched(root: Path) -> Program:
    libraries = next(root.glob("usr/lib/*-linux-gnu"), root / "usr/lib")
    fonts = CACHE / "fonts.conf"
    fonts.write_text(_FONTS.format(fonts=root / "usr/share/fonts", cache=CACHE / "font-cache"))
    paths = f"{libraries}:{libraries / 'pulseaudio'}"
    return Program(str(root / _PROGRAM), {"LD_LIBRARY_PATH": paths, "FONTCONFIG_FILE": str(fonts)})


def _fetch() -> None:
    """Unpack the packages, and those they need that are not installed. It takes no rights and changes no system."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NoChromiumError(f"there is no Chromium here and no apt-get to fetch one: {_HOW}")
    partial, packages = CACHE / "root.partial", CACHE / "packages"
    for folder in (partial, packages / "partial", CACHE / "lists" / "partial"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    _apt("update")
    _apt("install", "--yes", "--no-install-recommends", "--download-only", *_PACKAGES)
    for package in sorted(packages.glob("*.deb")):
        _run("dpkg-deb", "--extract", str(package), str(partial))
    partial.rename(CACHE / "root")
    shutil.rmtree(packages)
    shutil.rmtree(CACHE / "lists")


def _apt(*words: str) -> None:
    places = {
        "Dir::State::lists": CACHE / "lists",
        "Dir::Cache::archives": CACHE / "packages",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",
    }
    _run("apt-get", "-qq", *(f"-o{name}={value}" for name, value in places.items()), *words)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr or error).strip().splitlines()[-1:]
        raise NoChromiumError(f"Debian's Chromium cannot be fetched ({command[0]}: {''.join(said)}): {_HOW}") from error
