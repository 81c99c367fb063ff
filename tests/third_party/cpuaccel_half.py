"""Models with their weights in float16, to halve the memory; every layer computes in float32."""

import pytest

from pytest_cpuaccel import Backend, BuiltModel, Precision, Requirement


def load(subject, folder):
    import torch

    module = subject.fresh_module().half().float()  # rounded once; what runs is plain PyTorch
    return BuiltModel(
        forward=module,
        generate=getattr(module, "generate", None),
        threads=torch.get_num_threads(),
        facts={"rounded_weights": len(module.state_dict())},
    )


BACKEND = Backend(
    name="half",
    summary="weights in fp16",
    load=load,
    precision=Precision.FP16,
    requires=(Requirement("torch", ">=2.8"),),
)


@pytest.hookimpl(optionalhook=True)  # so that it does no harm where pytest-cpuaccel is switched off
def pytest_cpuaccel_backends(config):
    return [BACKEND]
