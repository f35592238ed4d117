"""Makes the images that pods of the tests run, and loads them into the node: no Docker, no registry.

Called by the command and by the tests' client. The base, a minimal Debian with Python, comes from debootstrap; others
from a Dockerfile by buildah, on the base, which the Dockerfile takes as `ARG BASE_IMAGE`. Both are cached by a digest
of what goes into them.
"""

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from cluster.cluster_buildah import build
from cluster.cluster_containerd import load_archive, write_archive
from cluster.cluster_places import CACHE, IMAGES, digest_of
from cluster.cluster_process import alone, run, say
from cluster.cluster_sources import digest_of_build
from cluster.cluster_tools import BASE_IMAGE_COMMANDS, BUILD_IMAGE_COMMANDS, require

BASE_TAG = "docker.io/local/python:3.11"
_SUITE = "bookworm"  # its Python is 3.11
_PACKAGES = "python3,python3-venv,ca-certificates"
_BASE_SETTINGS = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
_LOCK = CACHE / "images.lock"
_JUNK = ("var/cache/apt/archives", "var/lib/apt/lists")
_BASE_VERSION = "2"  # Raise it when the form of the archive changes.


def load_base_image() -> str:
    """Make the base where it is missing, load it, and return its tag."""
    load_archive(base_archive())
    return BASE_TAG


def load_built_image(context: Path, tag: str, target: str = "") -> None:
    """Build a Dockerfile where something it copies has changed, and load the image."""
    load_archive(built_archive(context, tag, target))


def base_archive() -> Path:
    """The archive of the base image."""
    archive = IMAGES / f"base-{digest_of((), _BASE_VERSION, _SUITE, _PACKAGES, platform.machine())}.tar"
    with alone(_LOCK):
        if not archive.exists():
            say(f"making the base image: Debian {_SUITE} with Python, about 1 min, once")
            require(BASE_IMAGE_COMMANDS)
            layer = _debian_layer()
            _replace(archive, lambda partial: write_archive(partial, layer, BASE_TAG, _BASE_SETTINGS))
            layer.unlink()
            _forget_older(archive, "base-*.tar")
    return archive


def built_archive(context: Path, tag: str, target: str = "") -> Path:
    """The archive of an image built from a folder with a Dockerfile."""
    base = base_archive()
    name = tag.rpartition(":")[0].replace("/", "_")
    archive = IMAGES / f"{name}-{digest_of_build(context, tag, target, base.name)}.tar"
    with alone(_LOCK):
        if not archive.exists():
            say(f"building the image {tag}")
            require(BUILD_IMAGE_COMMANDS)
            _replace(archive, lambda partial: build(context, tag, target, base, partial))
            _forget_older(archive, f"{name}-*.tar")
    return archive


def _debian_layer() -> Path:
    root, layer = CACHE / "base-rootfs", CACHE / "base-rootfs.tar"
    shutil.rmtree(root, ignore_errors=True)
    run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, root)
    for junk in _JUNK:
        shutil.rmtree(root / junk, ignore_errors=True)
        (root / junk / "partial").mkdir(parents=True)
    run("tar", "-C", root, "-cf", layer, ".")
    shutil.rmtree(root)
    return layer


def _forget_older(archive: Path, pattern: str) -> None:
    for other in IMAGES.glob(pattern):
        if other != archive:
            other.unlink()


def _replace(archive: Path, write: Callable[[Path], None]) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = archive.with_suffix(".partial")
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    write(partial)
    partial.rename(archive)
