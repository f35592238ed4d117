"""Starts containerd, loads images into it, and writes image archives of one layer.

Called by the node and by the images. It has its own socket and folders: a containerd of the machine is not touched.
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

from cluster.cluster_build import binary
from cluster.cluster_network import CNI_SETTINGS
from cluster.cluster_places import CONTAINERD_SOCKET, STATE, digest_of
from cluster.cluster_process import run, start, succeeds, wait_until
from cluster.cluster_tools import cni_folder

PAUSE_TAG = "docker.io/local/pause:1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def start_containerd() -> None:
    """Start it and give it the image that every pod needs."""
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE, as in many containers and sandboxes, runc fails otherwise.
    (STATE / "containerd.toml").write_text(f"""version = 2
root = "{STATE}/containerd"
state = "{STATE}/containerd-run"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_TAG}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_folder()}"
    conf_dir = "{CNI_SETTINGS}"
""")
    start("containerd", "containerd", "-c", STATE / "containerd.toml")
    wait_until("containerd", lambda: succeeds(*_ctr("version")), name="containerd")
    _load_pause()


def load_archive(archive: Path) -> None:
    """Give the node the image of an archive, unless it has exactly that already."""
    stat = archive.stat()
    mark = STATE / f"loaded-{digest_of((), str(archive), str(stat.st_size), str(stat.st_mtime_ns))}"
    if not mark.exists():
        run(*_ctr("images", "import", str(archive)))
        mark.touch()


def write_archive(archive: Path, layer: Path, tag: str, config: dict[str, Any]) -> None:
    """Write an image of one layer, an uncompressed tar, in the format of `docker save`."""
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    machine = platform.machine()
    image = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        # Without it, buildah builds on the image only as long as it keeps no layers.
        "history": [{"created_by": "tests/cluster"}],
    }
    body = json.dumps(image).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    index = [{"Config": name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, name, body)
        _add(tar, "manifest.json", json.dumps(index).encode())
        tar.add(layer, f"{digest}/layer.tar")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _load_pause() -> None:
    layer, archive = STATE / "pause-layer.tar", STATE / "pause.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(binary("pause"), "pause")
    write_archive(archive, layer, PAUSE_TAG, {"Entrypoint": ["/pause"]})
    load_archive(archive)


def _ctr(*words: str) -> tuple[str, ...]:
    return ("ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io", *words)
