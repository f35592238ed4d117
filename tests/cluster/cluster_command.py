"""The command `python tests/cluster`: a real Kubernetes of one node for tests, on this machine.

For people, and for the tests' fixture, which starts it as a process of its own. It needs Linux and root, no Docker.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster import cluster_build, cluster_dns, cluster_images, cluster_lifecycle
from cluster.cluster_containerd import load_archive
from cluster.cluster_places import CACHE, KUBECONFIG, ClusterError
from cluster.cluster_tools import look_in_system_folders


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says. Returns the exit code."""
    arguments = _parser().parse_args(words)
    look_in_system_folders()
    act: Callable[[argparse.Namespace], None] = arguments.act
    try:
        act(arguments)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/cluster", description=__doc__, epilog=f"Its files: {CACHE}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the cluster, or use the one that runs")
    up.add_argument("--node", action="store_true", help="also start what runs pods")
    up.add_argument("--for-tests", action="store_true", help="the last tests that use it stop it")
    up.set_defaults(act=lambda got: cluster_lifecycle.up(node=got.node, for_tests=got.for_tests))

    down = commands.add_parser("down", help="stop everything and delete its state; what was built stays")
    down.set_defaults(act=lambda got: cluster_lifecycle.down())

    jaeger = commands.add_parser("jaeger", help="start Jaeger beside the cluster that runs; it ends with it")
    jaeger.set_defaults(act=lambda got: cluster_lifecycle.add_jaeger())

    build = commands.add_parser("build", help="compile what is missing")
    every = (*cluster_build.CONTROL_PLANE, *cluster_build.NODE)
    build.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(cluster_build.NAMES)}")
    build.set_defaults(act=lambda got: cluster_build.build(got.names or every))

    image = commands.add_parser("image", help="build a folder's Dockerfile and load the image")
    image.add_argument("context", type=lambda text: Path(text).resolve())
    image.add_argument("tag")
    image.add_argument("--target", default="", help="the stage of the Dockerfile")
    image.set_defaults(act=lambda got: cluster_images.load_built_image(got.context, got.tag, got.target))

    base = commands.add_parser("base-image", help="load the base image: Debian with Python")
    base.set_defaults(act=lambda got: print(cluster_images.load_base_image()))

    load = commands.add_parser("load", help="load an archive as `docker save` writes it")
    load.add_argument("archive", type=lambda text: Path(text).resolve())
    load.set_defaults(act=lambda got: load_archive(got.archive))

    kubeconfig = commands.add_parser("kubeconfig", help="print the path of the admin's kubeconfig")
    kubeconfig.set_defaults(act=lambda got: print(KUBECONFIG))

    dns = commands.add_parser("dns", help="answer names of Services; the node starts this itself")
    dns.set_defaults(act=lambda got: cluster_dns.serve())
    return parser
