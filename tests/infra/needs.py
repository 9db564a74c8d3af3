"""The settings and the AWS actions that a function needs, read from its code.

The search starts in ``functions/NAME`` and follows the factories of ``bootstrap`` to the settings
that they read, the services that they create, and the adapters' calls.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

from infra.paths import FUNCTIONS, LAYER

if TYPE_CHECKING:
    from collections.abc import Iterator

HPCOBS = LAYER / "hpcobs"

QUEUE_ACTIONS = {
    "send_message": "sqs:SendMessage",
    "receive_message": "sqs:ReceiveMessage",
    "delete_message_batch": "sqs:DeleteMessage",
    "change_message_visibility_batch": "sqs:ChangeMessageVisibility",
    "get_queue_attributes": "sqs:GetQueueAttributes",
}
"""IAM has no actions of their own for batches."""

SECRET_ACTIONS = {
    "describe_secret": "secretsmanager:DescribeSecret",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "put_secret_value": "secretsmanager:PutSecretValue",
    "update_secret_version_stage": "secretsmanager:UpdateSecretVersionStage",
}


def settings_of(function: str) -> set[str]:
    """Return the settings that the function's code may read."""
    names = set(_settings_in(function))
    for factory in _factories(function):
        names |= _settings_read(factory)
    return names


def actions_of(function: str) -> set[str]:
    """Return the IAM actions of the calls in the function's code."""
    factories = _factories(function)
    actions = {
        QUEUE_ACTIONS[call]
        for factory in factories
        for method in _queue_methods(factory)
        for call in _client_calls(method)
    }
    if "_connections" in factories:
        actions.add("rds-db:connect")
    if "authenticator" in factories:
        actions |= _secret_actions("hpcobs.auth.signing_keys")
    if "rotation" in factories:
        actions |= _secret_actions("hpcobs.auth.rotation")
    return actions


def _secret_actions(module: str) -> set[str]:
    calls = _methods_called(module, "manager") & SECRET_ACTIONS.keys()
    return {SECRET_ACTIONS[call] for call in calls}


def services_used() -> set[str]:
    """Return the AWS services for which the layer creates boto3 clients."""
    return {
        call.args[0].value
        for path in HPCOBS.rglob("*.py")
        for call in _calls(ast.parse(path.read_text()))
        if isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func) == "boto3.client"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def _attributes(tree: ast.AST, owner: str) -> set[str]:
    """Return the attributes of the expression ``owner`` that ``tree`` uses."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == owner
    }


def _function_trees(function: str) -> Iterator[ast.Module]:
    for path in (FUNCTIONS / function).rglob("*.py"):
        yield ast.parse(path.read_text())


def _factories(function: str) -> set[str]:
    """Return the factories that the function calls, and those that these call in turn."""
    pending = {
        name for tree in _function_trees(function) for name in _attributes(tree, "bootstrap")
    }
    # It calls the factories in its arguments, which the function names beside it.
    pending.discard("before_snapshot")
    found: set[str] = set()
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= _called(name) - found
    return found


@cache
def _bootstrap() -> dict[str, ast.FunctionDef]:
    tree = ast.parse((HPCOBS / "bootstrap.py").read_text())
    factories = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    # On AWS the queue is SQS. The lines after the ``if`` are for sites without SQS.
    queue = factories["queue"]
    queue.body = [node for node in queue.body if isinstance(node, ast.If)]
    return factories


def _called(factory: str) -> set[str]:
    names = {ast.unparse(call.func) for call in _calls(_bootstrap()[factory])}
    return names & _bootstrap().keys()


def _settings_in(function: str) -> Iterator[str]:
    for tree in _function_trees(function):
        yield from _attributes(tree, "bootstrap.settings()")


def _settings_read(factory: str) -> set[str]:
    """Return the settings that a factory reads, or modules to which it passes the settings."""
    tree = _bootstrap()[factory]
    read = _attributes(tree, "settings()")
    imported = _imports(tree)
    for call in _calls(tree):
        if "settings()" in [ast.unparse(argument) for argument in call.args]:
            read |= _settings_in_module(imported[ast.unparse(call.func)])
    return read


def _settings_in_module(module: str) -> set[str]:
    """Return the settings that a module reads, or modules to which it passes the settings."""
    tree = _module(module)
    read = _attributes(tree, "settings")
    imported = _imports(tree)
    for call in _calls(tree):
        name, _, function = ast.unparse(call.func).partition(".")
        if name in imported and "settings" in [ast.unparse(argument) for argument in call.args]:
            read |= _settings_in_module(f"{imported[name]}.{name}" if function else imported[name])
    return read


def _queue_methods(factory: str) -> set[str]:
    """Return the queue's methods that a factory's services call."""
    tree = _bootstrap()[factory]
    methods = _attributes(tree, "queue()")
    imported = _imports(tree)
    for call in _calls(tree):
        if "queue()" in [ast.unparse(argument) for argument in call.args]:
            methods |= _queue_methods_in(imported[ast.unparse(call.func)])
    return methods


def _queue_methods_in(module: str) -> set[str]:
    """Return the queue's methods that a module calls, or modules to which it passes the queue."""
    methods = _methods_called(module, "self._queue")
    imported = _imports(_module(module))
    for call in _calls(_module(module)):
        if "self._queue" in [ast.unparse(argument) for argument in call.args]:
            methods |= _queue_methods_in(imported[ast.unparse(call.func)])
    return methods


def _methods_called(module: str, on: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(_module(module))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == on
    }


def _client_calls(method: str) -> set[str]:
    """Return the calls of SQS that a method of the adapter makes, also by its other methods."""
    methods = {
        node.name: node
        for node in ast.walk(_module("hpcobs.queue.sqs"))
        if isinstance(node, ast.FunctionDef)
    }
    if method not in methods:
        return set()
    attributes = [node for node in ast.walk(methods[method]) if isinstance(node, ast.Attribute)]
    calls = {node.attr for node in attributes if ast.unparse(node.value) == "self._client"}
    for node in attributes:
        if ast.unparse(node.value) == "self" and node.attr != "_client":
            calls |= _client_calls(node.attr)
    return calls


def _module(name: str) -> ast.Module:
    path = LAYER / (name.replace(".", "/") + ".py")
    return ast.parse(path.read_text())


def _imports(tree: ast.AST) -> dict[str, str]:
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))
