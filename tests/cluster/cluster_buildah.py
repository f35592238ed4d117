"""Builds a Dockerfile with buildah: no Docker, no daemon, no registry.

Called by the images. Layers are kept, so that a change of code rebuilds what comes after it and nothing else. They
pile up; when they have outgrown `_STORAGE_BYTES`, all go and the next build begins afresh.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.cluster_places import CACHE
from cluster.cluster_process import run, succeeds

_STORAGE = CACHE / "buildah"
# Layers of the two images take 1 GB at first, and 2 MB more with each change of code.
_STORAGE_BYTES = 6 * 2**30
_BUILDAH = ("buildah", "--root", _STORAGE, "--runroot", CACHE / "buildah-run", "--storage-driver", "overlay")

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PIP_SETTINGS = "/etc/pip.conf"


def build(context: Path, tag: str, target: str, base: Path, archive: Path) -> None:
    """Build one stage of a folder's Dockerfile on the base image of an archive, and write it to an archive."""
    base_name = f"docker.io/local/base:{base.stem}"
    if not _has(base_name):
        image = run(*_BUILDAH, "pull", "-q", f"docker-archive:{base}").strip()
        run(*_BUILDAH, "tag", image, base_name)
    stage = ("--target", target) if target else ()
    # Chroot works wherever root does: it needs no user namespaces.
    options = ("--layers", "--isolation", "chroot", "--network", "host", "--ulimit", "nofile=1024:1024")
    settings = ("--build-arg", f"BASE_IMAGE={base_name}", *_settings_of_this_machine())
    run(*_BUILDAH, "bud", *options, *settings, *stage, "-t", tag, context)
    run(*_BUILDAH, "push", "-q", tag, f"docker-archive:{archive}:{tag}")
    _bound_storage()


def _settings_of_this_machine() -> Iterator[str]:
    """What a machine behind a proxy or mirror needs for pip and uv to work in a build."""
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT") or _CERTIFICATES
    for source, place in ((certificates, _CERTIFICATES), (_PIP_SETTINGS, _PIP_SETTINGS)):
        if Path(source).exists():
            yield from ("-v", f"{Path(source).resolve()}:{place}:ro")
    index = os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_DEFAULT_INDEX")
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX") if index else ():
        yield from ("--build-arg", f"{name}={index}")


def _has(name: str) -> bool:
    return succeeds(*_BUILDAH, "inspect", "--type", "image", name)


def _bound_storage() -> None:
    size = subprocess.run(["du", "-sb", _STORAGE], capture_output=True, text=True, check=False).stdout.split()
    if size and int(size[0]) > _STORAGE_BYTES:
        run(*_BUILDAH, "rmi", "--all", "--force")
