"""A synthesized template, asked by type and by the constructs' paths, never by hashed names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Properties = dict[str, Any]


class Template:
    """The resources of a site."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()
        content = json.loads(self.text)
        self.resources: dict[str, Properties] = content["Resources"]
        self.outputs: dict[str, Properties] = content["Outputs"]

    def all(self, kind: str) -> list[Properties]:
        """The properties of every resource of a kind, such as ``SQS::Queue``."""
        return [resource.get("Properties", {}) for _, resource in self._of(kind)]

    def one(self, kind: str, path: str = "") -> Properties:
        """The properties of the only resource of a kind, or of the one with ``path`` in its own."""
        properties: Properties = self.resource(kind, path)["Properties"]
        return properties

    def resource(self, kind: str, path: str = "") -> Properties:
        """As ``one``, but the whole resource."""
        found = [item for name, item in self._of(kind) if path in self.path_of(name)]
        assert len(found) == 1, f"{len(found)} of {kind} at {path!r}"
        return found[0]

    def paths(self, kind: str) -> set[str]:
        """The constructs' paths of all resources of a kind, without the stack."""
        return {self.path_of(name) for name, _ in self._of(kind)}

    def path_of(self, logical_id: str) -> str:
        """The path of a resource's construct, without the stack's name."""
        path: str = self.resources[logical_id].get("Metadata", {}).get("aws:cdk:path", "")
        return path.partition("/")[2].removesuffix("/Resource")

    def referred(self, value: Any) -> str:
        """The path of what ``{"Ref": …}`` or ``{"Fn::GetAtt": […]}`` is about."""
        name = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
        return self.path_of(name)

    def depends_on(self, resource: Properties) -> set[str]:
        """The paths of what is deployed before a resource, by DependsOn."""
        return {self.path_of(name) for name in resource.get("DependsOn", [])}

    def functions(self) -> dict[str, Properties]:
        """The site's own functions by their short names."""
        return {
            function["FunctionName"].rpartition("-")[2]: function
            for function in self.all("Lambda::Function")
            if "FunctionName" in function
        }

    def statements(self, function: str) -> Iterator[Properties]:
        """What the role of a function allows and denies."""
        role = self.functions()[function]["Role"]["Fn::GetAtt"][0]
        for policy in self.all("IAM::Policy"):
            if {"Ref": role} in policy["Roles"]:
                yield from policy["PolicyDocument"]["Statement"]

    def _of(self, kind: str) -> Iterator[tuple[str, Properties]]:
        for name, resource in self.resources.items():
            if resource["Type"] == f"AWS::{kind}":
                yield name, resource


def listed(value: Any) -> list[Any]:
    """IAM writes one as it is, and several as a list."""
    return value if isinstance(value, list) else [value]
