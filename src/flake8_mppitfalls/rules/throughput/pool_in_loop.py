"""MPP504."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.frames import Frame
from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars, positional_names
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.execution.conditions import MOST_AROUND
from flake8_mppitfalls.model.numbers.worker_counts import constructors
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.loops import Loop
    from flake8_mppitfalls.model.numbers.worker_counts import Constructor
    from flake8_mppitfalls.model.program import Program

DEEPEST = 3
"""How many calls up a loop is looked for."""

_RESTARTING = frozenset({"BrokenProcessPool", "BrokenExecutor", "TimeoutError"})
_CACHED = frozenset({"cache", "lru_cache", "cached_property", "cached"})
_SURROUNDINGS = frozenset({"os.environ.update", "os.putenv", "os.unsetenv", "os.chdir"})
_LONGEST_SLEEP = 1.0
"""A loop that sleeps longer than that has time for a new pool."""


class _Turn(NamedTuple):
    """A place that a loop runs at every turn: the constructor, or a call that leads to it."""

    node: cst.Call
    loop: Loop
    called: str


class PoolInLoop(Rule):
    """A pool is made anew at every turn of a loop.

    What it does:
        Finds a process pool or executor that is made inside a loop, or in a function that this
        module calls in a loop, though nothing that it is made from depends on the loop.

    Why it is bad:
        A pool starts all its workers when it is made, an executor when it gets its first tasks,
        and at the end both are taken down again. Under ``spawn`` each worker starts an interpreter
        and imports the program: tenths of a second, at every turn, for each worker. The work
        rarely pays for that, and whatever the workers have cached is lost.

    Example:
        ::

            for chunk in chunks:
                with Pool(4) as pool:
                    results += pool.map(work, chunk)

    Use instead:
        ::

            with Pool(4) as pool:
                for chunk in chunks:
                    results += pool.map(work, chunk)

    Known limits:
        Silent where the construction may depend on the loop: an argument does, something in
        ``initargs`` or a global that the workers read is changed in the loop; where the loop
        replaces a broken pool, or makes one only if there is none; where it seldom comes round (it
        leaves after the work, or sleeps a second or more); and for several pools that are kept at
        the same time.

    References:
        Python documentation, ``multiprocessing``, "Programming guidelines"; ``Pool`` and
        ``ProcessPoolExecutor``.
    """

    code = "MPP504"
    name = "pool-in-loop"
    message = (
        "{constructor}() {where} starts and ends its workers at every turn; make it once, before"
        " the loop"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each constructor that a loop runs at every turn for nothing."""
        for constructor in constructors(program):
            if constructor.calls[0][0] is not constructor.call or _is_of_base(constructor):
                continue
            turn = next(_turns(program, constructor), None)
            if turn is not None and not _is_made_for_a_reason(program, constructor.call):
                name = constructor.call.func
                yield self.finding(
                    constructor.call,
                    constructor=program.source(name, constructor.maker.name),
                    where=f"in {turn.called}(), called in a loop," if turn.called else "in a loop",
                )


def _is_of_base(constructor: Constructor) -> bool:
    return dotted_name(constructor.call.func).endswith("__init__")


def _turns(program: Program, constructor: Constructor) -> Iterator[_Turn]:
    """The loops that make the pool again at every turn, though it does not depend on them."""
    if _is_one_of_many(program, constructor):
        return
    yield from _loops_of(program, constructor, constructor.call)
    function = program.tree.function_of(constructor.call).node
    yield from _callers(program, constructor, function, _inputs(constructor), 0)


def _loops_of(program: Program, constructor: Constructor, call: cst.Call) -> Iterator[_Turn]:
    loops = program.loops
    for loop in loops.around(call):
        if any(loops.varies(arg.value, loop) for arg in call.args):
            return
        if loops.varies(call.func, loop) or _shared_state_changes(program, constructor, loop):
            return
        if _is_run_at_every_turn(program, call, loop):
            yield _Turn(call, loop, "")


def _inputs(constructor: Constructor) -> list[cst.BaseExpression]:
    func = constructor.call.func
    receiver = [func.value] if isinstance(func, cst.Attribute) else []
    return [*(arg.value for arg in constructor.call.args), *receiver]


def _callers(
    program: Program,
    constructor: Constructor,
    function: cst.CSTNode,
    inputs: list[cst.BaseExpression],
    depth: int,
) -> Iterator[_Turn]:
    """The calls of the function in loops, where what the pool is made from stays the same."""
    if depth >= DEEPEST or not isinstance(function, cst.FunctionDef):
        return
    decorators = {name.rpartition(".")[2] for name in decorator_names(program.tree, function)}
    if decorators & _CACHED or function.asynchronous is not None:
        return
    if program.tree.scopes[function].is_generator and "contextmanager" not in decorators:
        return
    loops = program.loops
    for site in program.references.calls(function):
        if depth == 0:
            frame = Frame(function, site.call, site.skip, None)
            if not program.counts.is_possible(constructor.call, frame):
                continue  # this call asks for no pool
        if _exclude_each_other(program, constructor.call, site.call):
            continue
        given = _given(program, function, inputs, site.call, site.skip)
        if given is None or _is_made_for_a_reason(program, site.call):
            continue
        for loop in loops.around(site.call):
            if any(loops.varies(node, loop) for node in (*given, site.call.func)):
                break
            if any(_attribute_changes(program, node, loop) for node in inputs):
                break
            if _shared_state_changes(program, constructor, loop):
                break
            if _is_run_at_every_turn(program, site.call, loop):
                yield _Turn(site.call, loop, function.name.value)
        caller = program.tree.function_of(site.call).node
        yield from _callers(program, constructor, caller, given, depth + 1)


def _exclude_each_other(program: Program, call: cst.Call, other: cst.Call) -> bool:
    """Are they on two branches of one ``if``? The function comes to itself by the loop."""
    outcomes = dict(program.conditions.holding(call))
    return any(
        outcomes.get(test, truth) is not truth for test, truth in program.conditions.holding(other)
    )


def _given(
    program: Program,
    function: cst.FunctionDef,
    inputs: list[cst.BaseExpression],
    call: cst.Call,
    skip: int,
) -> list[cst.BaseExpression] | None:
    """What a call gives for the parameters that the pool is made from; ``None``: not known."""
    names = positional_names(function.params)
    given: list[cst.BaseExpression] = []
    for parameter in _parameters(program, function, inputs, set()):
        if has_stars(call):
            return None
        value = argument(call, names, parameter, skip=skip)
        if value is not None:
            given.append(value)
    if skip and isinstance(call.func, cst.Attribute) and _mentions_own(inputs, names):
        given.append(call.func.value)
    return given


def _parameters(
    program: Program, function: cst.FunctionDef, nodes: list[cst.BaseExpression], seen: set[str]
) -> Iterator[str]:
    """The parameters of a function that expressions in it depend on."""
    scope = program.tree.scopes[function]
    for node in nodes:
        for part in program.tree.walk(node, into_functions=True):
            if not isinstance(part, cst.Name) or part.value in seen:
                continue
            seen.add(part.value)
            for binding in scope.bindings.get(part.value, ()):
                if binding.kind is Bound.PARAMETER:
                    yield part.value
                elif binding.value is not None:
                    yield from _parameters(program, function, [binding.value], seen)


def _mentions_own(inputs: list[cst.BaseExpression], names: list[str]) -> bool:
    return bool(names) and any(
        dotted_name(node).startswith(f"{names[0]}.") for node in inputs if dotted_name(node)
    )


def _attribute_changes(program: Program, node: cst.BaseExpression, loop: Loop) -> bool:
    return any(
        isinstance(part, cst.Attribute)
        and program.loops.is_attribute_changed(part.attr.value, loop)
        for part in program.tree.walk(node)
    )


# -- reasons ---------------------------------------------------------------------------------------


def _is_run_at_every_turn(program: Program, node: cst.Call, loop: Loop) -> bool:
    """False if the loop leaves after it, takes its time, or replaces what has broken."""
    if not program.loops.goes_round(node, loop) or _is_restarted(program, node, loop):
        return False
    if _is_for_some_turns(program, node, loop):
        return False
    for part in program.loops.body_of(loop):
        if isinstance(part, cst.ExceptHandler) and _caught(part) & _RESTARTING:
            return False
        if isinstance(part, cst.Call) and _sleeps_long(program, part):
            return False
    return True


def _is_restarted(program: Program, node: cst.Call, loop: Loop) -> bool:
    """Is it tried again after an error: ``while running: try: serve() except OSError: …``?"""
    if not isinstance(loop, cst.While):
        return False
    child: cst.CSTNode = node
    for parent in program.tree.ancestors(node):
        if parent is loop:
            return False
        if isinstance(parent, cst.Try) and child is parent.body and parent.handlers:
            return True
        child = parent
    return False


def _caught(handler: cst.ExceptHandler) -> set[str]:
    types = handler.type
    nodes = [types]
    if isinstance(types, cst.Tuple):
        nodes = [element.value for element in types.elements]
    return {dotted_name(node).rpartition(".")[2] for node in nodes}


def _sleeps_long(program: Program, call: cst.Call) -> bool:
    if not call.args or program.tree.qualified(call.func) not in {"time.sleep", "asyncio.sleep"}:
        return False
    amounts = program.counts.of(call.args[0].value)
    return all(amount.shown.low >= _LONGEST_SLEEP for amount in amounts)


def _is_for_some_turns(program: Program, node: cst.Call, loop: Loop) -> bool:
    """Is it under a test that singles out some turns: ``if mode == "parallel":``?"""
    tree = program.tree
    child: cst.CSTNode = node
    for parent in tree.ancestors(node):
        if parent is loop:
            return False
        if isinstance(parent, (cst.If, cst.IfExp)) and child is not parent.test:
            if _singles_out(parent.test, _is_over_few(loop)):
                if program.loops.varies(parent.test, loop):
                    return True
        elif isinstance(parent, cst.MatchCase) and not _takes_all(parent.pattern):
            return True
        child = parent
    return False


def _takes_all(pattern: cst.MatchPattern) -> bool:
    """``case _:``"""
    return isinstance(pattern, cst.MatchAs) and pattern.pattern is None


def _is_over_few(loop: Loop) -> bool:
    """Does it run over a literal list, or is it a ``while`` loop that waits for its turn?"""
    return not isinstance(loop, cst.For) or isinstance(loop.iter, (cst.Tuple, cst.List, cst.Set))


def _singles_out(test: cst.BaseExpression, few: bool) -> bool:
    """Does the test choose one turn (or, of a few, one kind), and not what there is to do?"""
    if isinstance(test, cst.UnaryOperation):
        return _singles_out(test.expression, few)
    if isinstance(test, cst.BooleanOperation):
        return _singles_out(test.left, few) or _singles_out(test.right, few)
    if isinstance(test, cst.Comparison):
        kinds = (cst.Equal, cst.NotEqual, cst.Is, cst.IsNot, cst.In, cst.NotIn)
        return any(isinstance(c.operator, kinds) for c in test.comparisons)
    return few and isinstance(test, (cst.Name, cst.Attribute, cst.Call))


def _is_made_for_a_reason(program: Program, call: cst.Call) -> bool:
    """Is it made only when there is none, or in a handler, for what has failed?"""
    tree = program.tree
    targets = _targets(program, call)
    for number, (test, _) in enumerate(program.conditions.holding(call)):
        if number >= MOST_AROUND - 1:
            return True  # one of the others may be about it
        if not targets.isdisjoint(_asked(program, test)):
            return True
    child: cst.CSTNode = call
    for parent in tree.ancestors(call):
        if isinstance(parent, (cst.ExceptHandler, cst.ExceptStarHandler)):
            return True
        if isinstance(parent, cst.BooleanOperation) and child is parent.right:
            return True  # pool or Pool()
        if isinstance(parent, cst.FunctionDef) and child is parent.body:
            return False
        child = parent
    return False


def _asked(program: Program, test: cst.BaseExpression) -> Iterator[str]:
    """The names and attributes in a test, and in what a name in it is bound to."""
    for part in program.tree.walk(test):
        if isinstance(part, (cst.Name, cst.Attribute)):
            yield dotted_name(part)
        if isinstance(part, cst.Name):
            for binding in program.names.bindings(part):
                if isinstance(binding.value, (cst.Comparison, cst.UnaryOperation)):
                    for inner in program.tree.walk(binding.value):
                        if isinstance(inner, (cst.Name, cst.Attribute)):
                            yield dotted_name(inner)


def _targets(program: Program, call: cst.Call) -> set[str]:
    """The names and attributes that the pool goes to."""
    found: set[str] = set()
    for parent in program.tree.ancestors(call):
        if isinstance(parent, cst.Assign):
            for target in parent.targets:
                node = target.target
                found.add(dotted_name(node.value if isinstance(node, cst.Subscript) else node))
        elif isinstance(parent, cst.AnnAssign):
            found.add(dotted_name(parent.target))
        elif isinstance(parent, cst.NamedExpr):
            found.add(dotted_name(parent.target))
            continue
        elif isinstance(parent, cst.WithItem):
            if parent.asname is not None:
                found.add(dotted_name(parent.asname.name))
        elif isinstance(parent, (cst.IfExp, cst.BooleanOperation, cst.Arg, cst.Call)):
            continue
        break
    found.update(dotted_name(target) for target in _passed_on(program, call))
    return found - {""}


def _passed_on(program: Program, call: cst.Call) -> Iterator[cst.BaseExpression]:
    """``self.pool`` in ``pool = Pool()`` and then ``self.pool = pool``."""
    for use in program.uses.of(call):
        assign = program.tree.parent(use.at)
        if isinstance(assign, cst.Assign) and not use.depth:
            yield from (target.target for target in assign.targets)


def _is_one_of_many(program: Program, constructor: Constructor) -> bool:
    """Several pools that are kept: a list of them, one for each name."""
    return any(
        use.through_container or use.kind is UseKind.STORED
        for use in program.uses.of(constructor.call)
    )


# -- state -----------------------------------------------------------------------------------------


def _shared_state_changes(program: Program, constructor: Constructor, loop: Loop) -> bool:
    """Does the loop change what workers get when they start: initargs, globals, environment?"""
    loops = program.loops
    for parameter in ("initargs", "initializer"):
        given = constructor.given(program, parameter)
        if given is not None and loops.is_changed(given.value, loop, constructor.call):
            return True
    owner = program.tree.function_of(loop).node
    inside = loops.called_in(loop)
    for node in loops.body_of(loop):
        if isinstance(node, cst.Subscript) and program.tree.qualified(node.value) == "os.environ":
            if isinstance(program.tree.parent(node), (cst.AssignTarget, cst.Del)):
                return True
        elif isinstance(node, cst.Call):
            if program.tree.qualified(node.func) in _SURROUNDINGS:
                return True
            if node in program.api_calls("set_start_method"):
                return True
    for name in _globals_of_workers(program, constructor):
        for binding in program.module_state.bindings(name):
            where = program.tree.function_of(binding.node).node
            if where in inside or (where is owner and program.tree.is_within(binding.node, loop)):
                if binding.kind not in (Bound.IMPORT, Bound.FUNCTION, Bound.CLASS):
                    return True
        for load in program.tree.loads.get(name, ()):
            within = program.tree.is_within(load, loop)
            if within or program.tree.function_of(load).node in inside:
                if program.changes.at(load) is not None:
                    return True
    return False


def _globals_of_workers(program: Program, constructor: Constructor) -> set[str]:
    """The names of the module that the workers of a pool read."""
    functions = [
        function
        for site in {constructor.call, constructor.made.site}
        for task in program.tasks_given_to(site)
        for function in program.sides.functions(program.values(task.callable))
    ]
    found: set[str] = set()
    top = program.tree.module_scope
    for function in program.sides.reach(functions):
        for node in program.tree.walk(function):
            if isinstance(node, cst.Name) and node.value in top.bindings:
                if program.tree.scope_of(node).owner_of(node.value) is top:
                    found.add(node.value)
    return found
