"""Models that keep state outside themselves: it is put back like their own, and where it can't be, that is said."""

from __future__ import annotations

import pytest

ELSEWHERE = """
STEP = 0
TABLE = {"n": 0}

def step():
    global STEP
    STEP += 1
    return STEP

def begun():
    global LATER
    LATER = globals().get("LATER", 0) + 1
    return LATER

class Box:
    n = 0

    def step(self):
        Box.n += 1
        return Box.n

    def __call__(self):
        Box.k = getattr(Box, "k", 0) + 1
        return Box.k

class Config:
    n = 0
"""

STEPS = """
import argparse, array, collections, ctypes, decimal, enum, functools, itertools, os, queue, random, threading, types
import weakref
import numpy as np
import pytest, torch
from torch import nn
from torch.nn import Bilinear
import elsewhere

NAMESPACE, ARGUMENTS, DICT = types.SimpleNamespace(n=0), argparse.Namespace(n=0), collections.UserDict(n=0)
LOCAL = threading.local()
LOCAL.n = 0
ARRAY, BYTES, VIEW = array.array("i", [0]), bytearray(1), memoryview(bytearray(1))
COUNT, CYCLE = itertools.count(1), itertools.cycle([1, 2, 3, 4, 5])
PYTHON, NUMPY, TORCH = random.Random(0), np.random.default_rng(0), torch.Generator().manual_seed(0)
QUEUE = queue.Queue()
QUEUE.put(0)
CALLED, BOX = elsewhere.Box(), elsewhere.Box()
os.environ["STEP"] = "0"

class CpuModel:
    n = 0

    def step(self):
        self.n += 1
        return self.n

class Total(list):
    total = 0

class Hidden:
    __slots__ = ("__n",)

    def __init__(self):
        self.__n = 0

    def step(self):
        self.__n += 1
        return self.__n

class Singleton(type):
    made = {}

    def __call__(cls):
        return cls.made.setdefault(cls, super().__call__()) if cls not in cls.made else cls.made[cls]

class Only(CpuModel, metaclass=Singleton):
    pass

class Machine:
    def __init__(self):
        self.now = self.one

    def one(self):
        self.now = self.two
        return 1

    def two(self):
        self.now = self.three
        return 2

    def three(self):
        self.now = lambda: 4
        return 3

TOTAL, HIDDEN, MACHINE, KEY = Total(), Hidden(), Machine(), CpuModel()
DECIMAL, INTEGER, RANGE = [decimal.Decimal(0)], [np.int64(0)], [range(0)]
OBJECTS, WEAK, CHAIN = np.array([0, None], dtype=object), weakref.WeakKeyDictionary(), collections.ChainMap({"n": 0})
WEAK[KEY] = 0
LINK, NUMBER, PARAMETER = weakref.ref(KEY), ctypes.c_int(0), nn.Parameter(torch.zeros(()), requires_grad=False)
WORD = 0
COO, CSR = torch.zeros(1, 1).to_sparse(), (torch.eye(1) * 4).to_sparse_csr()
CSR.values().zero_()
HELD = {"sparse": torch.zeros(1, 1).to_sparse()}

def _list_with_an_attribute():
    TOTAL.total += 1
    return TOTAL.total

def _private_slot():
    return HIDDEN.step()

def _made_by_a_metaclass():
    return Only().step()

def _method_in_an_attribute():
    return MACHINE.now()

def _decimal():
    DECIMAL[0] += 1
    return int(DECIMAL[0])

def _numpy_scalar():
    INTEGER[0] += 1
    return int(INTEGER[0])

def _range():
    RANGE[0] = range(len(RANGE[0]) + 1)
    return len(RANGE[0])

def _array_of_objects():
    OBJECTS[0] += 1
    return OBJECTS[0]

def _weak_keys():
    WEAK[KEY] += 1
    return WEAK[KEY]

def _weak_reference():
    return LINK().step()

def _chain_of_dicts():
    CHAIN["n"] += 1
    return CHAIN["n"]

def _ctypes():
    NUMBER.value += 1
    return NUMBER.value

def _lone_parameter():
    PARAMETER.add_(1)
    return float(PARAMETER)

def _by_word():
    globals()["WORD"] += 1
    return globals()["WORD"]

def _attribute_of_itself():
    _attribute_of_itself.n = getattr(_attribute_of_itself, "n", 0) + 1
    return _attribute_of_itself.n

def _stored(store):
    store["n"] = store.get("n", 0) + 1
    return store["n"]

_bound_method = CpuModel().step
_partial = functools.partial(_stored, {})
REGISTRY = {"step": CpuModel().step}

def _registry():
    return REGISTRY["step"]()

class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", torch.zeros(()))

    def forward(self):
        self.n += 1
        return float(self.n)

SHARED = nn.ModuleDict({"norm": Norm()})

def _namespace():
    NAMESPACE.n += 1
    return NAMESPACE.n

def _arguments():
    ARGUMENTS.n += 1
    return ARGUMENTS.n

def _user_dict():
    DICT["n"] += 1
    return DICT["n"]

def _thread_local():
    LOCAL.n += 1
    return LOCAL.n

def _array():
    ARRAY[0] += 1
    return ARRAY[0]

def _bytes():
    BYTES[0] += 1
    return BYTES[0]

def _view():
    VIEW[0] += 1
    return VIEW[0]

def _count():
    return next(COUNT)

def _cycle():
    return next(CYCLE)

def _python_generator():
    return PYTHON.random()

def _numpy_generator():
    return float(NUMPY.random())

def _torch_generator():
    return float(torch.rand((), generator=TORCH))

def _queue():
    n = QUEUE.get() + 1
    QUEUE.put(n)
    return n

def _environment():
    os.environ["STEP"] = str(int(os.environ["STEP"]) + 1)
    return int(os.environ["STEP"])

def _shared_module():
    return SHARED["norm"]()

def _attribute_of_a_module():
    elsewhere.Config.n += 1
    return elsewhere.Config.n

def _function_of_a_module():
    return elsewhere.step()

def _variable_made_later():
    return elsewhere.begun()

def _imported_inside():
    from elsewhere import TABLE
    TABLE["n"] += 1
    return TABLE["n"]

def _method_of_an_object():
    return BOX.step()

def _callable_object():
    return CALLED()

def _sparse_in_place():
    COO.add_(torch.ones(1, 1).to_sparse())
    return int(COO.to_dense()[0, 0])

def _sparse_rows():
    CSR.values().add_(1)
    return int(CSR.to_dense()[0, 0])

def _sparse_replaced():
    HELD["sparse"] = (HELD["sparse"].to_dense() + 1).to_sparse()
    return int(HELD["sparse"].to_dense()[0, 0])

def _attribute_of_a_library():
    types.steps = getattr(types, "steps", 0) + 1
    return types.steps

def _class_of_a_library():
    nn.Bilinear.steps = getattr(nn.Bilinear, "steps", 0) + 1
    return nn.Bilinear.steps

def _imported_class_of_a_library():
    Bilinear.counted = getattr(Bilinear, "counted", 0) + 1
    return Bilinear.counted

ELSEWHERE = [nn.Linear(1, 1, bias=False).eval()]
ELSEWHERE[0].weight.data.zero_()

def _parameter_of_a_module_in_a_list():
    with torch.no_grad():
        ELSEWHERE[0].weight += 1
    return float(ELSEWHERE[0].weight)

class Kept(enum.Enum):
    ONE = 1

    def step(self):
        self.n = getattr(self, "n", 0) + 1
        return self.n

def _member_of_an_enum():
    return Kept.ONE.step()

STEPS = {name: step for name, step in list(globals().items()) if name.startswith("_") and callable(step)}
del STEPS["_stored"]
PYTHONS, NUMPYS, TORCHS = random.Random(0), np.random.default_rng(0), torch.Generator().manual_seed(0)
RANDOM = {
    "_python_generator": [PYTHONS.random() for _ in range(4)],
    "_numpy_generator": [NUMPYS.random() for _ in range(4)],
    "_torch_generator": [float(torch.rand((), generator=TORCHS)) for _ in range(4)],
}

class Net(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return x + self.step()

@pytest.mark.parity
@pytest.mark.parametrize("name", STEPS)
def test_it(cpu_accelerate, name):
    cpu_model = cpu_accelerate(Net(STEPS[name]).eval())
    ANSWERS[name] = [float(cpu_model(torch.zeros(2))[0]) for _ in range(3)]

ANSWERS = {}

@pytest.fixture(autouse=True)
def only_the_calls_of_the_test_count(request):
    yield
    name = request.node.callspec.params["name"]
    ANSWERS[name].append(STEPS[name]())
    if name in ("_bound_method", "_partial"):  # in an object of the model's, which the backend has its own of
        assert ANSWERS[name] == [1, 2, 3, 1]
    elif name in RANDOM:
        assert ANSWERS[name] == pytest.approx(RANDOM[name])
    else:
        assert ANSWERS[name] == [1, 2, 3, 4]
"""


def test_only_the_calls_of_the_test_move_it_on(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(elsewhere=ELSEWHERE, test_it=STEPS)
    mlp_project.runpytest_subprocess("--cpu-backends=eager").assert_outcomes(passed=47)


LOST = """
import itertools, pathlib, sqlite3, subprocess, sys
import pytest, torch
from torch import nn

def counting():
    n = 0
    while True:
        n += 1
        yield n

GENERATOR = counting()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.kept = {"numbers": map(float, range(1000))}

class OfGenerator(Net):
    def step(self):
        return next(GENERATOR)

class OfIterator(Net):
    def step(self):
        return next(self.kept["numbers"])

class OfFile(Net):
    def step(self):
        path = pathlib.Path("count.txt")
        n = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(n))
        return n

class OfDatabase(Net):
    def __init__(self):
        super().__init__()
        self.database = sqlite3.connect(":memory:")
        self.database.execute("create table calls (n int)")

    def step(self):
        self.database.execute("insert into calls values (1)")
        return self.database.execute("select count(*) from calls").fetchone()[0]

class OfProcess(Net):
    def step(self):
        code = "n = len(open('log', 'a+').read()); f = open('log', 'a'); f.write('x'); print(f.tell())"
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
"""
WHERE = {
    "OfGenerator": "the global variable 'GENERATOR' of test_it (a generator)",
    "OfIterator": "something in a dict (a map)",
    "OfFile": "the file 'count.txt' (test_it.py:*)",
    "OfDatabase": "'database' of OfDatabase (a Connection)",
    "OfProcess": "another process (test_it.py:*)",
}


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("mark", ["@pytest.mark.parity", ""])
def test_what_cannot_be_put_back_is_named(mlp_project: pytest.Pytester, kind: str, mark: str) -> None:
    mlp_project.makepyfile(
        test_it=LOST
        + f"""
def forward(self, x):
    return x + self.step()

Net.forward = forward

{mark}
def test_it(cpu_accelerate):
    cpu_accelerate({kind}().eval())(torch.zeros(2))
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager")
    result.assert_outcomes(failed=1)
    where = WHERE[kind].replace("[", "[[]")
    kept = f"{kind} keeps state from call to call in *{where}*"
    result.stdout.fnmatch_lines([f"*{kept}, which can't be put back*"])


@pytest.mark.parametrize(
    ("counter", "outcome"), [("N += 1", {"failed": 1}), ("M = N", {"passed": 1}), ("pass", {"passed": 1})]
)
def test_a_module_that_a_call_imports_first_may_hold_no_state(
    mlp_project: pytest.Pytester, counter: str, outcome: dict[str, int]
) -> None:
    mlp_project.makepyfile(late=f"N = 0\ndef step():\n    global N, M\n    {counter}\n    return N\n")
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                import late
                return x + late.step()

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            cpu_accelerate(Net().eval())(torch.zeros(2))
        """
    )
    result = mlp_project.runpytest_subprocess("--cpu-backends=eager")
    result.assert_outcomes(**outcome)
    if outcome == {"failed": 1}:
        result.stdout.fnmatch_lines(
            ["*Net keeps state in the global variable 'N' of late, which its first call imports*; import late at *"]
        )


def test_a_hook_of_every_module_is_put_back(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch
        from torch import nn
        from torch.nn.modules.module import register_module_forward_hook

        seen = []

        def hooked(module, args, output):
            seen.append(0)
            return output + len(seen)

        @pytest.fixture
        def hook():
            handle = register_module_forward_hook(hooked)
            yield
            handle.remove()

        @pytest.mark.parity
        def test_it(cpu_accelerate, hook):
            cpu_model = cpu_accelerate(nn.Identity().eval())
            assert [float(cpu_model(torch.zeros(1))) for _ in range(3)] == [1, 2, 3]
            assert len(seen) == 3
        """
    )
    mlp_project.runpytest_subprocess("--cpu-backends=eager").assert_outcomes(passed=1)


def test_state_that_cannot_be_followed_is_not_called_dropout(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import gc, pytest, torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                first, *rest = gc.get_threshold()
                gc.set_threshold(first + 1, *rest)
                return x + first

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            cpu_accelerate(Net().eval())(torch.zeros(2))
        """
    )
    result = mlp_project.runpytest_subprocess("--cpu-backends=eager")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*drew nothing: Net keeps state where it can't be followed (keep it in a buffer *"])


def test_what_is_written_but_moves_no_answer_is_no_state(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pathlib
        import pytest, torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                with open("log.txt", "a") as log:
                    log.write("called\\n")
                return x + 1

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            cpu_accelerate(Net().eval())(torch.zeros(2))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)
