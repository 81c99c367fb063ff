"""What every backend promises, ours or a third party's, checked by watching it at work.

A package that adds a backend certifies it with this test::

    import pytest
    from pytest_cpuaccel.conformance import PROMISES, observe
    from their_package import BACKEND


    @pytest.fixture(scope="module")
    def observed(tmp_path_factory):
        return observe(BACKEND, tmp_path_factory.mktemp("conformance"))


    @pytest.mark.parametrize("promise", PROMISES, ids=str)
    def test_backend_keeps(promise, observed):
        promise.check(observed)

The backend runs once, on small models that are made here. Every promise is then checked against that observation.
"""

from pytest_cpuaccel.conformance.example_model import Sample, samples
from pytest_cpuaccel.conformance.observation import Observation
from pytest_cpuaccel.conformance.observe import observe
from pytest_cpuaccel.conformance.promise import BrokenPromiseError, Promise
from pytest_cpuaccel.conformance.promises import PROMISES

__all__ = ["PROMISES", "BrokenPromiseError", "Observation", "Promise", "Sample", "observe", "samples"]
