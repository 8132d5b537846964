"""MPP308."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.values import Constant, Result
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_LEGACY = "numpy.random"
_NO_DRAW = frozenset(
    "seed RandomState default_rng Generator SeedSequence BitGenerator PCG64 PCG64DXSM MT19937"
    " Philox SFC64 get_state set_state get_bit_generator set_bit_generator test".split()
)
_GENERATORS = frozenset(
    {
        "numpy.random.default_rng",
        "numpy.random.RandomState",
        "numpy.random.Generator",
        "numpy.random.mtrand.RandomState",
        "random.Random",
    }
)
_NO_METHOD_DRAW = frozenset({"seed", "spawn", "getstate", "setstate", "get_state", "set_state"})
_PRELOADED = ("numpy", "random", "__main__")


class RngInForkedWorker(Rule):
    """Forked workers draw the same random numbers.

    What it does:
        Finds the first call in a worker function that draws from NumPy's global generator
        (``numpy.random.rand()``), or from a ``numpy.random.default_rng()`` or ``random.Random()``
        of the module, where no worker and no initializer seeds it.

    Why it is bad:
        ``fork`` copies the state of the generator: all workers go on from the same one, and draw
        the same numbers. A simulation repeats itself, an augmentation does the same to each image.
        There is no error. (The functions of ``random`` itself are seeded anew after a fork.) With
        a fixed seed at module level it is so under ``spawn``, too, where each worker imports the
        module and seeds it again.

    Example:
        ::

            def estimate(samples):
                points = numpy.random.rand(samples, 2)
                ...

            with multiprocessing.Pool(4) as pool:
                pool.map(estimate, [1000] * 4)  # four times the same

    Use instead:
        ::

            def estimate(seed, samples):
                points = numpy.random.default_rng(seed).random((samples, 2))
                ...

            seeds = numpy.random.SeedSequence(7).spawn(4)
            with multiprocessing.Pool(4) as pool:
                pool.starmap(estimate, [(seed, 1000) for seed in seeds])

    Known limits:
        Silent where workers are only spawned and no seed is fixed at module level, and where a
        worker or initializer calls anything that has ``seed`` in its name.

    References:
        NumPy documentation, "Parallel random number generation"; Python documentation, ``random``.
    """

    code = "MPP308"
    name = "rng-in-forked-worker"
    message = (
        "{how} the same state of {generator}, and draws the same numbers here; make a generator in"
        " the worker, from a seed that each task is given"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the first draw of each generator in each worker function."""
        if not _may_draw(program) or not program.sides.entries():
            return
        first: dict[tuple[cst.CSTNode | None, str], cst.Call] = {}
        for call in program.tree.nodes(cst.Call):
            generator = _drawn_from(program, call)
            if generator:
                function = program.sides.worker_of(call)
                if function is not None:
                    first.setdefault((function, generator), call)
        for (_, generator), call in first.items():
            if _is_seeded(program, generator) or not program.concurrency.is_repeated(call):
                continue
            how = _how(program, generator, call)
            if how:
                yield self.finding(
                    call,
                    how=how,
                    generator="NumPy's global generator" if generator == _LEGACY else generator,
                )


def _may_draw(program: Program) -> bool:
    """Does the file import what has generators?"""
    return any(
        binding.qualified.partition(".")[0] in ("numpy", "random")
        for scope in program.tree.scopes.values()
        for bindings in scope.bindings.values()
        for binding in bindings
        if binding.qualified
    )


def _drawn_from(program: Program, call: cst.Call) -> str:
    """The name of the module's generator that a call draws from, or ``numpy.random``."""
    func = call.func
    if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Name):
        if func.attr.value in _NO_METHOD_DRAW:
            return ""
        name = func.value
        owner = program.tree.scope_of(name).owner_of(name.value)
        if owner is program.tree.module_scope and _is_generator(program, name.value):
            return name.value
    package, _, last = program.tree.qualified(func).rpartition(".")
    if package in (_LEGACY, "numpy.random.mtrand") and last not in _NO_DRAW:
        return _LEGACY
    return ""


def _is_generator(program: Program, name: str) -> bool:
    """Is all that a name of the module ever holds a generator (or ``None``)?"""
    found = False
    for binding in program.module_state.bindings(name):
        if binding.qualified:
            return False
        for value in program.evaluator.bound(binding):
            if isinstance(value, Result) and value.name in _GENERATORS:
                found = True
            elif not (isinstance(value, Constant) and value.value is None):
                return False
    return found


def _is_seeded(program: Program, generator: str) -> bool:
    """Does a worker or initializer make the generator anew, or call what may seed it?"""
    bindings = program.module_state.bindings(generator) if generator != _LEGACY else ()
    if any(not program.sides.is_parent_code(binding.node) for binding in bindings):
        return True
    return any(
        not program.sides.is_parent_code(call) and _may_seed(program, call, generator)
        for name, calls in program.tree.calls_of.items()
        if "seed" in name.lower() or name in ("set_state", "setstate")
        for call in calls
        if name not in ("SeedSequence", "getseed", "get_seed")
    )


def _may_seed(program: Program, call: cst.Call, generator: str) -> bool:
    func = call.func
    name = program.tree.qualified(func)
    if name in ("random.seed", "numpy.random.seed"):
        return generator == _LEGACY and name == "numpy.random.seed"
    if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Name):
        if _is_generator(program, func.value.value):
            return func.value.value == generator
    return True


def _how(program: Program, generator: str, call: cst.Call) -> str:
    """How the workers come to the same state; empty where they don't."""
    methods: set[str] = set()
    for entry in program.concurrency.entries_at(call):
        methods.update(program.start_methods.of_all(program.sides.processes(entry)))
    if "fork" in methods or ("forkserver" in methods and _is_preloaded(program)):
        return "each forked worker begins with"
    if methods and _has_fixed_seed(program, generator):
        return "each worker imports the module with its fixed seed, so it has"
    return ""


def _is_preloaded(program: Program) -> bool:
    """Does the fork server import the generator's module before it forks?"""
    for call in program.tree.calls_of.get("set_forkserver_preload", ()):
        for value in (arg.value for arg in call.args):
            if isinstance(value, (cst.List, cst.Tuple)):
                names = [program.evaluator.text(e.value) or "" for e in value.elements]
                if any(name.partition(".")[0] in _PRELOADED for name in names):
                    return True
    return False


def _has_fixed_seed(program: Program, generator: str) -> bool:
    """Is the generator seeded with a constant while the module is imported?"""
    if generator == _LEGACY:
        return any(
            bool(call.args)
            and _is_constant(program, call.args[0].value)
            and program.tree.qualified(call.func) == f"{_LEGACY}.seed"
            and program.sides.runs_at_import(call)
            for call in program.tree.calls_of.get("seed", ())
        )
    return any(
        isinstance(binding.value, cst.Call)
        and bool(binding.value.args)
        and _is_constant(program, binding.value.args[0].value)
        and program.sides.runs_at_import(binding.node)
        for binding in program.module_state.bindings(generator)
    )


def _is_constant(program: Program, node: cst.BaseExpression) -> bool:
    values = program.values(node)
    return bool(values) and all(isinstance(v, Constant) and v.value is not None for v in values)
