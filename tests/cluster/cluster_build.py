"""Compiles the programs of the test cluster, and others that tests use, from Go modules, once per version.

Called by `up`, by the command and by fixtures. A compiled program stands in a folder named after a digest of the files
and flags it is made from, so a change of version builds anew and going back finds the old one.
"""

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from cluster.cluster_places import BINARIES, HERE, ClusterError, digest_of
from cluster.cluster_process import alone, run, say
from cluster.cluster_tools import go

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy", "pause")
# The program, the folder of its module, the package.
_PROGRAMS = {
    "etcd": ("kubernetes", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubelet": ("kubernetes", "k8s.io/kubernetes/cmd/kubelet"),
    "kube-proxy": ("kubernetes", "k8s.io/kubernetes/cmd/kube-proxy"),
    "pause": ("pause", "."),
    "jaeger": ("jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one"),
    "versitygw": ("s3", "github.com/versity/versitygw/cmd/versitygw"),
    "promcheck": ("promcheck", "."),
}
NAMES = tuple(_PROGRAMS)
# Without cgo the result is static and the same with or without a C compiler on the machine.
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def kubernetes_version() -> str:
    """The version of Kubernetes, as its go.mod says: `v1.34.4`."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (HERE / "kubernetes" / "go.mod").read_text(), re.MULTILINE)
    assert found, "kubernetes/go.mod names no k8s.io/kubernetes"
    return found[1]


def binary(name: str) -> Path:
    """Where a program is, or will be once it is built."""
    folder, _ = _PROGRAMS[name]
    sources = [path for path in (HERE / folder).iterdir() if path.is_file()]
    return BINARIES / f"{folder}-{digest_of(sources, *_flags())}" / name


def build(names: Iterable[str]) -> None:
    """Compile those of these programs that are missing."""
    names = list(names)
    if unknown := set(names) - set(NAMES):
        raise ClusterError(f"cannot build {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    missing = [name for name in names if not binary(name).exists()]
    if not missing:
        return
    compiler = go()
    if len(missing) > 1:
        say(f"compiling {len(missing)} programs with {os.cpu_count()} cores, once; with 2 cores it takes 6 to 10 min")
    for number, name in enumerate(missing, start=1):
        _compile(compiler, name, f"{number} of {len(missing)}")


def _compile(compiler: str, name: str, which: str) -> None:
    target = binary(name)
    with alone(target.with_suffix(".lock")):
        if not target.exists():
            _compile_to(target, compiler, name, which)


def _compile_to(target: Path, compiler: str, name: str, which: str) -> None:
    say(f"compiling {name} ({which})")
    folder, package = _PROGRAMS[name]
    partial, begun = target.with_suffix(".partial"), time.monotonic()
    run(compiler, "build", *_flags(), "-o", partial, package, cwd=HERE / folder, environment=_ENVIRONMENT)
    partial.rename(target)
    say(f"compiled {name} in {time.monotonic() - begun:.0f} s")


def _flags() -> tuple[str, ...]:
    version = kubernetes_version()
    major, minor = version[1:].split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    sets = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())
    return ("-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {sets}")
