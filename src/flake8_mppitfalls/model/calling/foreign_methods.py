"""Methods of the other class: ``Pool.submit``, ``ProcessPoolExecutor.apply_async``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import Made, Member, is_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program


class Mixup(NamedTuple):
    """An argument in the wrong slot, or a method that another class has.

    Attributes:
        node: the first argument in the wrong slot; for a missing method the call.
        problem: what happens, with the names of the code.
        cure: what to write instead.
    """

    node: cst.CSTNode
    problem: str
    cure: str


def missing_methods(program: Program) -> Iterator[Mixup]:
    """Where a pool is asked for a method of an executor, or the other way round."""
    for kind, other in ((api.Kind.POOL, api.Kind.EXECUTOR), (api.Kind.EXECUTOR, api.Kind.POOL)):
        for name in api.METHODS[other].keys() - api.METHODS[kind].keys():
            for node in program.tree.attributes.get(name, ()):
                if _lacks(program, node, kind):
                    yield _missing(program, node, kind)


def _lacks(program: Program, node: cst.Attribute, kind: api.Kind) -> bool:
    if isinstance(node.value, (cst.SimpleString, cst.FormattedString)):
        return False
    name = node.attr.value
    receivers = [v for v in program.values(node.value) if not is_none(v)]
    values = [m for v in receivers for m in program.evaluator.members.of(v, name, node)]
    if not values or not all(
        isinstance(v, Member)
        and v.receiver.kind is kind
        and v.receiver in receivers  # not ``self.close = executor.shutdown``
        and _is_plain(program, v.receiver)
        for v in values
    ):
        return False
    if program.evaluator.classes.store_of(node) is not None:
        return False
    return not program.conditions.expects(node, "AttributeError")


def _is_plain(program: Program, made: Made) -> bool:
    if made.cls is None:
        return made.flavour != "billiard"
    bases = program.evaluator.classes.external_bases(made.cls)
    return all(api.maker(name) is not None for name in bases)


def _missing(program: Program, node: cst.Attribute, kind: api.Kind) -> Mixup:
    name = node.attr.value
    parent = program.tree.parent(node)
    called = isinstance(parent, cst.Call) and parent.func is node
    cls = "Pool" if kind is api.Kind.POOL else "ProcessPoolExecutor"
    text = program.source(node.value, "this")
    return Mixup(
        parent if called and parent is not None else node,
        f"{text} is a {cls}, which has no {name}(): AttributeError: '{cls}' object has no"
        f" attribute '{name}'",
        _INSTEAD.get((kind, name), "use the methods of this class"),
    )


_INSTEAD = {
    (api.Kind.POOL, "submit"): "call apply_async(f, (arguments,))",
    (api.Kind.POOL, "shutdown"): "call close() and join()",
    (api.Kind.POOL, "terminate_workers"): "call terminate()",
    (api.Kind.POOL, "kill_workers"): "call terminate()",
    (api.Kind.EXECUTOR, "apply"): "call submit(f, arguments).result()",
    (api.Kind.EXECUTOR, "apply_async"): "call submit(f, arguments)",
    (api.Kind.EXECUTOR, "map_async"): "call map(), which does not wait",
    (api.Kind.EXECUTOR, "imap"): "call map(), whose results come as they are asked for",
    (api.Kind.EXECUTOR, "imap_unordered"): "call submit() and as_completed()",
    (api.Kind.EXECUTOR, "starmap"): "call map(f, *zip(*tuples))",
    (api.Kind.EXECUTOR, "starmap_async"): "call map(f, *zip(*tuples))",
    (api.Kind.EXECUTOR, "close"): "call shutdown()",
    (api.Kind.EXECUTOR, "join"): "call shutdown(), which waits",
    (api.Kind.EXECUTOR, "terminate"): "call shutdown(cancel_futures=True)",
}
