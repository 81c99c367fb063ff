"""Methods of the model's class find the backend, or are refused; and only plain PyTorch is a reference."""

from __future__ import annotations

import pytest

MODEL = """
import pytest, torch
from torch import nn
from torch.nn import functional

X = torch.linspace(-2, 2, 12).reshape(3, 4)

class DropPath(nn.Module):
    def forward(self, x):
        return x * 0 if self.training else x

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.text, self.head = nn.Linear(4, 4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.head(self.text(x))

    def encode(self, rows):
        return [self(row[None])[0] for row in rows]

    @torch.no_grad()
    def encode_by_forward(self, rows):
        return self.encode_all(rows)

    def encode_all(self, rows):
        return self.forward(torch.stack(list(rows)))

    def prepared(self, x):
        return x.to(self.head.weight.dtype) + 1

    def features(self, x):
        return self.text(x)

    def projected(self, x):
        return functional.linear(x, self.head.weight)

    def scaled(self, x):
        return x * self.scale

    def by_children(self, x):
        for child in self.children():
            x = child(x)
        return x
"""


@pytest.mark.parametrize("method", ["encode", "encode_by_forward", "encode_all"])
def test_what_a_method_calls_of_the_model_runs_under_the_backend(mlp_project: pytest.Pytester, method: str) -> None:
    mlp_project.makepyfile(
        MODEL
        + f"""
@pytest.mark.parity
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate(Encoder().eval())
    assert torch.equal(cpu_model.prepared(X), X + 1)
    cpu_model.{method}(X)
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager,off")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["off: forward *: 'output' is off by *"])


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("features", "runs 'text' in eager mode, past the backend; accelerate that part alone: cpu_accelerate(*.text)"),
        ("projected", "runs 'head' in eager mode, past the backend; accelerate that part alone: *"),
        ("scaled", "computes with 'scale' in eager mode, past the backend; call cpu_model itself, or *"),
        ("by_children", "runs 'text' in eager mode, past the backend; *"),
    ],
)
def test_a_method_that_reaches_around_the_backend_is_refused(
    mlp_project: pytest.Pytester, method: str, words: str
) -> None:
    mlp_project.makepyfile(
        MODEL + f"\ndef test_it(cpu_accelerate):\n    cpu_accelerate(Encoder().eval()).{method}(X)\n"
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"cpu_model.{method}: {words}", "  at test_*.py:*"])


def test_clips_features_are_refused_by_the_part_that_they_run(project: pytest.Pytester) -> None:
    pytest.importorskip("transformers")
    project.makepyfile(
        """
        import torch
        from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

        def test_it(cpu_accelerate):
            clip = next(item for item in ARCHITECTURES if item.name == "clip").make()
            cpu_accelerate(clip).get_text_features(input_ids=torch.ones(1, 4, dtype=torch.long))
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["cpu_model.get_text_features: runs 'text_model' in eager mode, past *", "  at test_*.py:*"]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.compile()", "Encoder is compiled by torch.compile, so that it isn't eager PyTorch; *"),
        ("model.forward = torch.compile(model.forward)", "Encoder is compiled by torch.compile in its forward(), *"),
        ("model.text = torch.compile(model.text)", "'text' of Encoder is compiled by torch.compile, *"),
        ("model.text = torch.jit.trace(model.text, X)", "'text' of Encoder is a ScriptModule, *"),
        ("model = torch.jit.trace(model, X)", "TopLevelTracedModule is a ScriptModule, *"),
        ("model = torch.jit.script(nn.Linear(4, 4)).train()", "RecursiveScriptModule is a ScriptModule, *"),
        ("model.bn = nn.BatchNorm1d(4)", "'bn' (BatchNorm1d) of Encoder is in training mode, where it normalises by *"),
        (
            "model.path = DropPath()",
            "'path' (DropPath) of Encoder is in training mode, where it does *else, *",
        ),
        ("model.act = nn.RReLU()", "'act' (RReLU) of Encoder is in training mode, where it does something else, *"),
        ("model.drop = nn.Sequential(nn.Dropout(0.1))", "'drop.0' (Dropout) of Encoder is in training mode, where *"),
    ],
)
def test_what_is_no_eager_model_is_refused(mlp_project: pytest.Pytester, change: str, words: str) -> None:
    mlp_project.makepyfile(
        MODEL
        + f"""
def test_it(cpu_accelerate):
    model = Encoder().eval()
    {change}
    cpu_accelerate(model)(X)
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "-W", "ignore")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"cpu_accelerate(model): {words}", "  at test_*.py:*"])


DOUBLE = "@compiled\ndef double(x): return 2 * x\n"
FUNCTIONS = {
    "of a module": (DOUBLE, "double(x)", "double of test_*"),
    "behind another": (f"{DOUBLE}def twice(x): return double(x)", "twice(x)", "double of test_*"),
    "in a table": ("TABLE = {'double': compiled(lambda x: 2 * x)}", "TABLE['double'](x)", "<lambda> of test_*"),
    "of an object": (
        "class Box:\n    @compiled\n    def double(self, x): return 2 * x",
        "Box().double(x)",
        "Box.double *",
    ),
    "in a closure": (
        "def closing(f): return lambda x: f(x)\nf = closing(compiled(torch.relu))",
        "f(x)",
        "*relu of torch",
    ),
}


@pytest.mark.parametrize("where", FUNCTIONS)
@pytest.mark.parametrize("is_warm", [False, True])
@pytest.mark.parametrize("backend", ["eager", "twin"])
def test_a_function_under_torch_compile_is_refused_wherever_it_is(
    mlp_project: pytest.Pytester, where: str, is_warm: bool, backend: str
) -> None:
    definition, use, name = FUNCTIONS[where]
    mlp_project.makepyfile(
        f"""
import functools, pytest, torch
from torch import nn

compiled = functools.partial(torch.compile, backend="eager")

{definition}

class Net(nn.Module):
    def forward(self, x):
        return {use}

def test_it(cpu_accelerate):
    model = Net().eval()
    if {is_warm}:
        model(torch.ones(3))
    cpu_accelerate(model)(torch.ones(3))
"""
    )
    result = mlp_project.runpytest_inprocess(f"--cpu-backends={backend}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"Net runs {name}* under torch.compile, so that it isn't *", "  at test_*.py:*"])


PROPERTIES = """
import functools

class Computed(Encoder):
    @property
    def answer(self):
        return self(X)

    @functools.cached_property
    def once(self):
        return self(X)

    def _answer(self, x, times):
        return self(x) * times

    twice = functools.partialmethod(_answer, times=2)

    @property
    def transposed(self):
        return X @ self.text.weight.T

    def count(self):
        return sum(item.numel() + item.dim() for item in self.parameters())
"""


@pytest.mark.parametrize("use", ["cpu_model.answer", "cpu_model.once", "cpu_model.twice(X)"])
def test_what_a_class_computes_by_other_means_than_methods_runs_under_the_backend(
    mlp_project: pytest.Pytester, use: str
) -> None:
    mlp_project.makepyfile(
        MODEL
        + PROPERTIES
        + f"""
@pytest.mark.parity(rtol=0, atol=0)
def test_it(cpu_accelerate):
    model = Computed().eval()
    cpu_model = cpu_accelerate(model)
    {use}
    assert "once" not in vars(model)
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    mlp_project.runpytest_inprocess("--cpu-backends=off").assert_outcomes(failed=1)


AROUND = """
class Around(Encoder):
    def __init__(self):
        super().__init__()
        self.table, self.kept, self._hidden = torch.ones(4), [nn.Linear(4, 2)], nn.Linear(4, 2)

    def by_steps(self, rows):
        for row in rows:
            yield self.head(row)

    async def later(self, x):
        return self.head(x)

    def by_table(self, x):
        return x * self.table

    def by_list(self, x):
        return self.kept[0](x)

    def forwards(self, rows):
        for row in rows:
            yield self(row)

    async def awaits(self, x, answer):
        try:
            await answer
        except KeyError:
            return self(x)
"""


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("list(cpu_model.by_steps(X))", "cpu_model.by_steps: runs 'head' in eager mode, past the backend; *"),
        ("asyncio.run(cpu_model.later(X))", "cpu_model.later: runs 'head' in eager mode, past the backend; *"),
        ("cpu_model.by_table(X)", "cpu_model.by_table: computes with 'table' in eager mode, past the backend; *"),
        ("cpu_model.by_list(X)", "cpu_model.by_list: runs 'kept' in eager mode, past the backend; *"),
        ("cpu_model._hidden(X)", "cpu_model._hidden: would run a part of the model in eager mode; *"),
    ],
)
def test_other_ways_around_the_backend_are_refused(mlp_project: pytest.Pytester, use: str, words: str) -> None:
    mlp_project.makepyfile(
        f"import asyncio\n{MODEL}{AROUND}"
        + f"""
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate(Around().eval())
    {use}
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{words}"])


PARTS = """
class Parts(Encoder):
    base_model_prefix = "text"

    def __init__(self):
        super().__init__()
        self.experts = [nn.Linear(4, 4)]
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.ReLU()])
        self.named = nn.ModuleDict({"one": nn.Linear(4, 4)})
        self.seen = 0

    def get_encoder(self):
        return self.text

    def each(self):
        yield from self.children()

    def in_threads(self, rows):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(self.text, rows))

    def in_a_thread_of_its_own(self, x):
        thread = threading.Thread(target=lambda: self.__dict__.setdefault("answer", self.get_encoder()(x)))
        thread.start()
        thread.join()

    def rows_in_threads(self, rows):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(self, rows))

    def counting(self, x):
        self.seen += 1
        return self(x)

    def rescaled(self, x):
        self.scale = nn.Parameter(torch.zeros(()))
        return self.scaled(x)

    def scaled(self, x):
        return self(x)

    @torch.no_grad()
    def by_hand(self, x):
        return nn.functional.linear(x, self.head.weight)

    def forward(self, x):
        return super().forward(x) * self.scale
"""
IMPORTS = "import asyncio, concurrent.futures, copy, pickle, threading\n"


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("next(cpu_model.children())(X)", "cpu_model.text: would run a part of the model in eager mode; build that *"),
        ("dict(cpu_model.named_children())['head'](X)", "cpu_model.head: would run a part of the model in eager *"),
        ("list(cpu_model.modules())[1](X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("dict(cpu_model.named_modules())['blocks.0'](X)", "*; *cpu_accelerate(eager_model.get_submodule('blocks.0'))"),
        ("cpu_model.get_submodule('head')(X)", "cpu_model.head: would run a part of the model in eager mode; *"),
        ("cpu_model._modules['head'](X)", "cpu_model.head: would run a part of the model in eager mode; *"),
        ("cpu_model.text.forward(X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("cpu_model.get_encoder()(X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("list(cpu_model.each())[0](X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("cpu_model.experts[0](X)", "cpu_model.experts: would run a part of the model in eager mode; *"),
        ("cpu_model.blocks[0](X)", "cpu_model.blocks.0: would run a part of the model in eager mode; *"),
        ("[block(X) for block in cpu_model.blocks]", "cpu_model.blocks.0: would run a part of the model in eager *"),
        ("cpu_model.named['one'](X)", "cpu_model.named.one: would run a part of the model in eager mode; *"),
        ("[item(X) for item in cpu_model.named.values()]", "cpu_model.named.one: would run a part of the model in *"),
        ("nn.Sequential(*cpu_model.children())(X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("cpu_model.in_threads(X)", "cpu_model.in_threads: runs 'text' in eager mode, past the backend; *"),
        ("cpu_model.in_a_thread_of_its_own(X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("nn.Linear.forward(cpu_model.text, X)", "cpu_model.text: would run a part of the model in eager mode; *"),
        ("nn.Sequential.forward(cpu_model.blocks, X)", "cpu_model.blocks.0: would run a part of the model in eager *"),
        ("Parts.by_hand(cpu_model, X)", "*Parts.by_hand was called with it *; call cpu_model.by_hand(...)"),
        ("Parts.forward(cpu_model, X)", "*Parts.forward was called with it as an argument, *; call cpu_model(...)"),
        ("Encoder.forward(self=cpu_model, x=X)", "*Parts.forward was called with it *; call cpu_model(...)"),
        ("cpu_model.rescaled(X)", "cpu_model.scale: setting it would change nothing in a model that is built; *"),
        ("cpu_model.scale = 3", "cpu_model.scale: setting it would change nothing in a model that is built; *"),
        ("cpu_model.text.bias = None", "cpu_model.text.bias: a built model can't be changed; change eager_model *"),
        (
            "cpu_model.register_forward_hook(print)",
            "cpu_model.register_forward_hook: a built model can't be changed; *",
        ),
        ("cpu_model.text.register_forward_hook(print)", "cpu_model.text.register_forward_hook: a built model can't *"),
        ("cpu_model.blocks[0] = nn.ReLU()", "cpu_model.blocks.0: a built model can't be changed; change eager_model *"),
        ("del cpu_model.text.bias", "cpu_model.text.bias: a built model can't be changed; change eager_model *"),
        ("del cpu_model.scale", "cpu_model.scale: setting it would change nothing in a model that is built; *"),
        ("copy.copy(cpu_model.text)", "cpu_model.text: can't be copied or pickled; copy eager_model's instead"),
        ("cpu_model.train()", "cpu_model.train: a built model can't be changed; change eager_model instead"),
        ("nn.Sequential(cpu_model).load_state_dict({})", "cpu_model._load_from_state_dict: a built model can't be *"),
        (
            "cpu_accelerate(nn.Sequential(cpu_model).eval())(X)",
            "cpu_model: is called during an eager run, by a model *",
        ),
        (
            "cpu_accelerate(cpu_model)",
            "cpu_accelerate(model): that is a model under a backend already; give it the *",
        ),
        (
            "torch.autocast('cpu')(lambda x: cpu_model(x))(X)",
            "cpu_model: called under torch.autocast, which no *",
        ),
        ("cpu_model.add_module('more', nn.ReLU())", "cpu_model.add_module: a built model can't be changed; *"),
        ("copy.copy(cpu_model)", "cpu_model: can't be copied or pickled; call it as it is, or copy eager_model"),
        ("copy.deepcopy(cpu_model)", "cpu_model: can't be copied or pickled; call it as it is, or copy eager_model"),
        ("pickle.dumps(cpu_model)", "cpu_model: can't be copied or pickled; call it as it is, or copy eager_model"),
        ("torch.func.vmap(cpu_model)(X)", "cpu_model: input '0' is a tensor of torch.func (vmap, jacrev, grad), *"),
        ("torch.func.jacrev(cpu_model)(X[0])", "cpu_model: input '0' is a tensor of torch.func (vmap, jacrev, *"),
        ("torch.export.export(cpu_model, (X,))", "cpu_model: input '0' is of torch.export or torch.compile, which *"),
        (
            "with torch.device('meta'): cpu_model(X)",
            "cpu_model: called while 'meta' is torch's default device; *",
        ),
        ("torch.autograd.functional.jacobian(cpu_model, X)", "cpu_model: input '0' is to get a gradient, which no *"),
        ("cpu_model(torch.nested.nested_tensor([X, X[:2]]))", "cpu_model: input '0' is a nested tensor, whose rows *"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_part_of_the_model_can_be_looked_at_and_not_run(mlp_project: pytest.Pytester, use: str, words: str) -> None:
    mlp_project.makepyfile(
        IMPORTS
        + MODEL
        + PARTS
        + f"\ndef test_it(cpu_accelerate):\n    cpu_model = cpu_accelerate(Parts().eval())\n    {use}\n"
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{words}"])


def test_what_parts_are_and_hold_can_be_read(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        IMPORTS
        + MODEL
        + PARTS
        + """
def test_it(cpu_accelerate):
    model = Parts().eval()
    cpu_model = cpu_accelerate(model)
    assert isinstance(cpu_model.head, nn.Linear) and cpu_model.head.out_features == 2
    assert cpu_model.head.weight is model.head.weight and repr(cpu_model.head) == repr(model.head)
    assert [item.__class__ for item in cpu_model.modules()] == [item.__class__ for item in model.modules()]
    assert sum(isinstance(item, nn.Linear) for item in cpu_model.modules()) == 4
    assert next(iter(cpu_model.modules())) is cpu_model
    assert len(cpu_model.blocks) == 2 and list(cpu_model.named) == ["one"] and "one" in cpu_model.named
    assert [name for name, _ in cpu_model.named_modules()] == [name for name, _ in model.named_modules()]
    assert cpu_model.state_dict().keys() == model.state_dict().keys()
    assert sum(item.numel() for item in cpu_model.head.parameters()) == 10
    cpu_model.note = "mine"
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


def test_a_root_with_the_operators_of_a_container_keeps_them(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        MODEL
        + """
class Root(nn.Sequential):
    def encode(self, rows):
        return [self(row[None])[0] for row in rows], [type(item).__name__ for item in self], len(self)

def make():
    torch.manual_seed(0)
    return Root(nn.Linear(4, 4), nn.ReLU()).eval()

@pytest.mark.parity(rtol=0, atol=0)
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate(make())
    assert len(cpu_model) == 2 and [item.__class__ for item in cpu_model] == [nn.Linear, nn.ReLU]
    assert cpu_model[0].out_features == 4 and cpu_model[1].__class__ is nn.ReLU
    assert cpu_model.train(False) is cpu_model
    assert nn.Sequential(cpu_model, nn.ReLU()).eval()(X).shape == (3, 4)
    assert cpu_model.encode(X)[1:] == (["Linear", "ReLU"], 2)

@pytest.mark.parametrize("use", ["[0]", "[:1]", "[-1:][0]"])
def test_part(cpu_accelerate, use):
    eval("cpu_model" + use, {"cpu_model": cpu_accelerate(make())})(X)
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["*cpu_model.0: would run a part of the model in eager mode; *"])


@pytest.mark.parametrize(
    "use",
    [
        "cpu_model._call_impl(X)",
        "nn.Module.__call__(cpu_model, X)",
        "cpu_model.rows_in_threads(X)",
        "cpu_model.counting(X)",
    ],
)
def test_other_ways_to_call_it_run_under_the_backend(mlp_project: pytest.Pytester, use: str) -> None:
    mlp_project.makepyfile(
        IMPORTS
        + MODEL
        + PARTS
        + f"""
@pytest.mark.parity(rtol=0, atol=0)
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate(Parts().eval())
    {use}
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    mlp_project.runpytest_inprocess("--cpu-backends=off").assert_outcomes(failed=1)


def test_a_generator_that_calls_the_model_runs_under_the_backend(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        f"{MODEL}{AROUND}"
        + """
@pytest.mark.parity(rtol=0, atol=0)
def test_it(cpu_accelerate):
    assert len(list(cpu_accelerate(Around().eval()).forwards(X))) == 3
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    mlp_project.runpytest_inprocess("--cpu-backends=off").assert_outcomes(failed=1)


def test_a_coroutine_gets_what_it_awaits_errors_too(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        f"import asyncio\n{MODEL}{AROUND}"
        + """
async def fails():
    await asyncio.sleep(0.01)
    raise KeyError("none")

async def run(cpu_model):
    return await cpu_model.awaits(X, asyncio.ensure_future(fails()))

@pytest.mark.parity(rtol=0, atol=0)
def test_it(cpu_accelerate):
    assert asyncio.run(run(cpu_accelerate(Around().eval()))).shape == (3, 2)
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


def test_a_view_of_a_weight_is_as_good_as_the_weight_and_its_size_is_not(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        MODEL
        + PROPERTIES
        + """
def test_size(cpu_accelerate):
    assert cpu_accelerate(Computed().eval()).count() > 0

def test_view(cpu_accelerate):
    cpu_accelerate(Computed().eval()).transposed
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*cpu_model.transposed: runs 'text' in eager mode, past the backend; *"])


@pytest.mark.parametrize(
    ("kept", "use", "name"),
    [
        ("[torch.jit.script(nn.Linear(3, 3))]", "self.kept[0](x)", "a ScriptModule of Linear"),
        ("{'one': torch.jit.trace(nn.Linear(3, 3), torch.ones(3))}", "self.kept['one'](x)", "a ScriptModule of Linear"),
        ("None", "scripted(x)", "scripted of test_* under torch.jit"),
        ("None", "LATER[0](x)", "double of test_* under torch.jit"),
        ("None", "torch.jit.script(double)(x)", "torch.jit.script"),
        ("torch.jit.trace(double, torch.ones(3))", "self.kept(x)", "double of test_* under torch.jit"),
        ("torch.compile(double, backend='eager')", "self.in_thread(x)", "double of test_* under torch.compile"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_scripted_or_runs_in_a_thread_is_refused(
    mlp_project: pytest.Pytester, kept: str, use: str, name: str
) -> None:
    mlp_project.makepyfile(
        f"""
import threading, torch
from torch import nn

def double(x): return 2 * x

@torch.jit.script
def scripted(x): return 2 * x

LATER = [torch.jit.script(double)]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.box = lambda kept={kept}: kept

    @property
    def kept(self):
        return self.__dict__.setdefault("memo", [self.box()])[0]

    def in_thread(self, x):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.kept(x)))
        thread.start()
        thread.join()
        return answers[0]

    def forward(self, x):
        return {use}

def test_it(cpu_accelerate):
    cpu_accelerate(Net().eval())(torch.ones(3))
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager", "-W", "ignore")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"Net runs {name}, so that it isn't eager PyTorch; *", "  at test_*.py:*"])


def test_a_function_that_is_compiled_for_later_calls_is_refused_at_the_latest_by_the_verdict(
    mlp_project: pytest.Pytester,
) -> None:
    mlp_project.makepyfile(
        """
import pytest, torch
from torch import nn

def double(x): return 2 * x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.fast = 0, [double, double, double, double]
    def forward(self, x):
        self.calls += 1
        return self.fast[min(self.calls, 3)](x)

@pytest.mark.parity
def test_it(cpu_accelerate):
    net = Net().eval()
    net.fast[3] = torch.compile(double, backend="eager")
    cpu_model = cpu_accelerate(net)
    for _ in range(5):
        cpu_model(torch.ones(3))
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Net runs double of test_* under torch.compile, so that it isn't *"])


def test_a_scripted_function_that_only_a_later_call_runs_is_refused(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch
        from torch import nn

        @torch.jit.script
        def fused(x): return 2 * x

        class Net(nn.Module):
            def forward(self, x):
                return fused(x) if len(x) > 2 else 2 * x

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            cpu_model = cpu_accelerate(Net().eval())
            cpu_model(torch.ones(2))
            cpu_model(torch.ones(3))
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager", "-W", "ignore")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Net runs fused of test_* under torch.jit, so that it isn't eager *"])


def test_scripted_code_that_no_call_runs_is_no_matter(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
import pytest, torch
from torch import nn

@torch.jit.script
def fused(x): return 2 * x

class Net(nn.Module):
    def forward(self, x):
        return fused(x) if x.is_cuda else 2 * x

@pytest.mark.parity
def test_it(cpu_accelerate):
    cpu_accelerate(Net().eval())(torch.ones(3))
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager", "-W", "ignore").assert_outcomes(passed=1)


def test_code_that_torch_does_not_compile_is_eager(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        from unittest.mock import MagicMock
        import pytest, torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.writer = MagicMock()

            @torch.compiler.disable
            def helper(self, x):
                return x + 1

            def forward(self, x):
                return self.helper(x)

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            cpu_accelerate(Net().eval())(torch.ones(3))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)


def test_the_wrapper_of_torch_compile_is_left_out_with_a_note(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        MODEL
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    assert isinstance(cpu_accelerate(torch.compile(Encoder().eval())), Encoder)
    cpu_accelerate(Encoder().eval())(X)
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "-k", "test_it")
    result.stdout.fnmatch_lines(
        ["note: cpu_accelerate(model): torch.compile's wrapper was left out; its original is the eager model"]
    )


def test_a_layer_in_training_mode_that_does_nothing_else_there_is_no_mistake(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        MODEL
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    model = Encoder().eval()
    model.head = nn.Linear(4, 2)
    cpu_accelerate(model)(X)
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


RANDOM = """
import random

class DropsOneInTenThousand(Encoder):
    def forward(self, x):
        return functional.dropout(self.text(x), 1e-4, training=True) * (1 - 1e-4)

class Thinks(Encoder):
    def forward(self, x):
        random.random()
        return self.text(x)

class Drops(Encoder):
    def forward(self, x):
        return functional.dropout(self.text(x), 0.5, training=True)

class Samples(Encoder):
    def forward(self, x):
        mu = self.text(x)
        return {"mu": mu, "recon": self.head(mu + torch.randn_like(mu))}
"""


@pytest.mark.parametrize("kind", ["Drops", "DropsOneInTenThousand"])
@pytest.mark.parametrize("backend", ["eager", "torchscript", "refusing"])
def test_a_model_that_draws_random_numbers_is_told_as_such_under_every_backend(
    mlp_project: pytest.Pytester, backend: str, kind: str
) -> None:
    mlp_project.makepyfile(
        MODEL
        + RANDOM
        + f"\n@pytest.mark.parity\ndef test_it(cpu_accelerate):\n    cpu_accelerate({kind}().eval())(X)\n"
    )
    for _ in range(2):  # without and with a cache
        result = mlp_project.runpytest_inprocess(f"--cpu-backends={backend}")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*eager disagrees with itself by * in 'output', *is dropout on *"])


def test_outputs_that_are_not_compared_may_be_random(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        MODEL
        + RANDOM
        + """
@pytest.mark.parity(outputs=["mu"])
def test_it(cpu_accelerate):
    cpu_accelerate(Samples().eval())(X)
"""
    )
    for _ in range(2):
        mlp_project.runpytest_inprocess("--cpu-backends=eager,torchscript").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("kind", "outputs", "words"),
    [
        ("Samples", ["mu"], "off: forward *: 'mu' is off by *"),
        ("Thinks", ["output"], "*; but Thinks draws random numbers (Python), and though eager's answer was the same *"),
    ],
)
def test_a_backend_is_not_blamed_for_what_a_rare_draw_may_have_done(
    mlp_project: pytest.Pytester, kind: str, outputs: list[str], words: str
) -> None:
    mlp_project.makepyfile(
        MODEL
        + RANDOM
        + f"""
@pytest.mark.parity(outputs={outputs})
def test_it(cpu_accelerate):
    cpu_accelerate({kind}().eval())(X)
"""
    )
    is_shown = kind == "Samples"
    result = mlp_project.runpytest_inprocess("--cpu-backends=off", "--cpu-inconclusive=skip")
    result.assert_outcomes(failed=int(is_shown), skipped=int(not is_shown))
    result.stdout.fnmatch_lines([f"*{words}"])
