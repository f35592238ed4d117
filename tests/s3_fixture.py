"""Fixtures for tests that need an S3 server. A test module gets them by `pytest_plugins = ["s3_fixture"]`.

moto_s3      a bucket in moto, a quick server in this process that checks no signatures
versitygw    a bucket in versitygw, a real server over a folder; compiled at its first use (`docs/testing.md`)
s3           one after the other: the same test on both
fault_proxy  `fault_proxy(bucket)` makes a proxy before a bucket that does what stores do in bad times: fault_proxy.py

Each gives a Bucket (s3_servers.py): `bucket.uri("a.csv")`, `bucket.store("folder")`, `bucket.stores()`,
`bucket.settings` (the `store` of a manifest), `bucket.environment` (of a process), and what is really there: `put`,
`get`, `names`, `uploads`.
"""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from fault_proxy import FaultProxy
from s3_servers import Bucket, new_bucket, serving_moto, serving_versitygw

__all__ = ["fault_proxy", "moto_s3", "moto_url", "s3", "versitygw", "versitygw_url"]

_TEST_TIMEOUT_S = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a timeout bound the test alone: the first use of versitygw compiles it for minutes."""
    for item in items:
        if {"versitygw", "s3"} & set(getattr(item, "fixturenames", ())):
            own = item.get_closest_marker("timeout")
            timeout_s = own.args[0] if own and own.args else _TEST_TIMEOUT_S
            item.add_marker(pytest.mark.timeout(timeout_s, func_only=True), append=False)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with serving_moto() as url:
        yield url


@pytest.fixture(scope="session")
def versitygw_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_versitygw(tmp_path_factory.mktemp("versitygw") / "buckets") as url:
        yield url


@pytest.fixture
def moto_s3(moto_url: str) -> Iterator[Bucket]:
    """A bucket in moto."""
    with new_bucket(moto_url) as bucket:
        yield bucket


@pytest.fixture
def versitygw(versitygw_url: str) -> Iterator[Bucket]:
    """A bucket in versitygw."""
    with new_bucket(versitygw_url) as bucket:
        yield bucket


@pytest.fixture(params=["moto", "versitygw"])
def s3(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """A bucket in each of them."""
    url = request.getfixturevalue("moto_url" if request.param == "moto" else "versitygw_url")
    with new_bucket(url) as bucket:
        yield bucket


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[Bucket], FaultProxy]]:
    """Makes proxies, and stops them after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda bucket: stack.enter_context(FaultProxy(bucket))
