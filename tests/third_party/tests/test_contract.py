import pytest
from cpuaccel_half import BACKEND

from pytest_cpuaccel.conformance import PROMISES, observe


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    return observe(BACKEND, tmp_path_factory.mktemp("conformance"))


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_half_keeps(promise, observed):
    promise.check(observed)
