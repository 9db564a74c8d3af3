"""A synthesized template, searched by type and construct path, never by hashed names."""

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
        """Return the properties of every resource of a kind, such as ``SQS::Queue``."""
        return [resource.get("Properties", {}) for _, resource in self._of(kind)]

    def one(self, kind: str, path: str = "") -> Properties:
        """Return the properties of the only resource of a kind whose path contains ``path``."""
        properties: Properties = self.resource(kind, path)["Properties"]
        return properties

    def resource(self, kind: str, path: str = "") -> Properties:
        """Return the whole resource instead of its properties, otherwise as ``one``."""
        found = [item for name, item in self._of(kind) if path in self.path_of(name)]
        assert len(found) == 1, f"{len(found)} of {kind} at {path!r}"
        return found[0]

    def paths(self, kind: str) -> set[str]:
        """Return the constructs' paths of all resources of a kind, without the stack."""
        return {self.path_of(name) for name, _ in self._of(kind)}

    def path_of(self, logical_id: str) -> str:
        """Return the path of a resource's construct, without the stack's name."""
        path: str = self.resources[logical_id].get("Metadata", {}).get("aws:cdk:path", "")
        return path.partition("/")[2].removesuffix("/Resource")

    def referred(self, value: Any) -> str:
        """Return the path of the resource that ``{"Ref": …}`` or ``{"Fn::GetAtt": […]}`` names."""
        name = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
        return self.path_of(name)

    def depends_on(self, resource: Properties) -> set[str]:
        """Return the paths of the resources in DependsOn of a resource."""
        return {self.path_of(name) for name in resource.get("DependsOn", [])}

    def functions(self) -> dict[str, Properties]:
        """Return the site's own functions by their short names."""
        return {
            function["FunctionName"].rpartition("-")[2]: function
            for function in self.all("Lambda::Function")
            if "FunctionName" in function
        }

    def statements(self, function: str) -> Iterator[Properties]:
        """Yield the policy statements of a function's role."""
        role = self.functions()[function]["Role"]["Fn::GetAtt"][0]
        for policy in self.all("IAM::Policy"):
            if {"Ref": role} in policy["Roles"]:
                yield from policy["PolicyDocument"]["Statement"]

    def _of(self, kind: str) -> Iterator[tuple[str, Properties]]:
        for name, resource in self.resources.items():
            if resource["Type"] == f"AWS::{kind}":
                yield name, resource


def listed(value: Any) -> list[Any]:
    """Return a list. IAM writes a single value without one."""
    return value if isinstance(value, list) else [value]
