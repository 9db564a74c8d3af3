"""The contract, the routes and the models are equal, in both directions."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from hpcobs import __version__
from hpcobs.http import documentation, errors
from hpcobs.http.routes import ROUTES
from hpcobs.http.schemas.events import FinishedEvent, StartedEvent
from hpcobs.http.schemas.jobs import JobChanges, NewJob, NewSample, NewScheduler
from hpcobs.http.schemas.queries import JobsQuery, SamplesQuery
from hpcobs.http.schemas.sync import SeenJob, SeenNode, StateSync
from hpcobs.wire.samples import SampleBatch

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from pydantic import BaseModel

Schema = dict[str, Any]

CONTRACT = documentation.contract()
SCHEMAS: dict[str, Schema] = CONTRACT["components"]["schemas"]
METHODS = ("get", "post", "patch", "put", "delete")
OPERATIONS = {
    f"{method.upper()} {path}": item[method]
    for path, item in CONTRACT["paths"].items()
    for method in METHODS
    if method in item
}
BODIES: list[type[BaseModel]] = [
    NewJob, NewScheduler, JobChanges, NewSample, StartedEvent, FinishedEvent, StateSync, SeenJob,
    SeenNode,
]  # fmt: skip
BOUNDS = (
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
    "pattern",
)  # fmt: skip
# Their entries are validated one by one, after the envelope.
VALIDATED_LATER = {("StateSync", "jobs"), ("StateSync", "nodes")}


def validator(schema: Schema) -> Validator:
    return Draft202012Validator(
        {**schema, "components": CONTRACT["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    while "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        schema = {**definitions[name], **{key: schema[key] for key in schema if key != "$ref"}}
    return schema


def choices(schema: Schema, definitions: dict[str, Schema]) -> list[Schema]:
    schema = resolved(schema, definitions)
    inner = schema.get("anyOf") or schema.get("oneOf")
    if inner is None:
        return [schema]
    return [choice for each in inner for choice in choices(each, definitions)]


def rules(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a value's rules in one form: types, bounds, choices, parts."""
    found: Schema = {"types": set()}
    for choice in choices(schema, definitions):
        types = choice.get("type", [])
        found["types"] |= {types} if isinstance(types, str) else set(types)
        found |= {bound: anchored(choice[bound]) for bound in BOUNDS if bound in choice}
        if "enum" in choice or "const" in choice:
            values = choice.get("enum", [choice.get("const")])
            found["enum"] = {value for value in values if value is not None}
            found["types"] |= {"string"}
        if choice.get("format") != "binary" and "format" in choice:
            found["format"] = choice["format"]
        if "items" in choice:
            found["items"] = rules(choice["items"], definitions)
        if isinstance(choice.get("additionalProperties"), dict):
            found["values"] = rules(choice["additionalProperties"], definitions)
            found["names"] = rules(
                {"type": "string", **choice.get("propertyNames", {})}, definitions
            )
        if "properties" in choice:
            found["object"] = shape(choice, definitions)
    return found


def anchored(bound: Any) -> Any:
    return bound.replace(r"\A", "^").replace(r"\Z", "$") if isinstance(bound, str) else bound


def shape(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = resolved(schema, definitions)
    return {
        "closed": schema.get("additionalProperties") is False,
        "required": set(schema.get("required", ())),
        "fields": {name: rules(part, definitions) for name, part in schema["properties"].items()},
    }


def as_in_code(shape: Schema, name: str) -> Schema:
    """Reduce the contract's shape to the part that a model's own schema can express."""
    for field, rule in shape["fields"].items():
        if "object" in rule:
            as_in_code(rule["object"], field)
        if rule["types"] >= {"array", "string"}:  # a list of nodes, or Slurm's text for it
            rule["types"] -= {"string"}
            for bound in ("minLength", "maxLength"):
                rule.pop(bound, None)
        if (name, field) in VALIDATED_LATER:
            rule["items"] = {"types": set()}
    return shape


def test_contract_is_valid_openapi() -> None:
    validate(CONTRACT)


def test_routes_and_contract_have_same_operations() -> None:
    assert {route.key for route in ROUTES} == set(OPERATIONS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_operation_has_scope_of_its_route(route: Any) -> None:
    operation = OPERATIONS[route.key]
    assert operation.get("x-hpcobs-scope") == route.scope
    assert (operation.get("security") == []) == (route.scope is None)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_operation_has_query_parameters_like_route(route: Any) -> None:
    parameters = [
        resolved(each, CONTRACT["components"]["parameters"])
        for each in OPERATIONS[route.key].get("parameters", ())
    ]
    assert any(each["in"] == "query" for each in parameters) == route.takes_query


@pytest.mark.parametrize("model", BODIES, ids=lambda model: str(model.__name__))
def test_body_equals_its_schema(model: type[BaseModel]) -> None:
    written = as_in_code(shape(SCHEMAS[model.__name__], SCHEMAS), model.__name__)
    code = model.model_json_schema()
    assert shape(code, code.get("$defs", {})) == written


def test_sample_batch_equals_its_schema() -> None:
    (code,), definitions = msgspec.json.schema_components(
        [SampleBatch], ref_template="#/$defs/{name}"
    )
    assert shape(code, definitions) == shape(SCHEMAS["SampleBatch"], SCHEMAS)


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("GET /v1/jobs", JobsQuery),
        ("GET /v1/jobs/{jobId}/metrics", SamplesQuery),
        ("GET /v1/jobs/{jobId}/gpus", SamplesQuery),
    ],
)
def test_query_equals_its_parameters(key: str, model: type[BaseModel]) -> None:
    parameters = [
        resolved(each, CONTRACT["components"]["parameters"])
        for each in OPERATIONS[key]["parameters"]
    ]
    written = {each["name"]: rules(each["schema"], SCHEMAS) for each in parameters}
    code = model.model_json_schema()
    asked = shape(code, code.get("$defs", {}))
    assert asked["closed"]
    for rule in (*asked["fields"].values(), *written.values()):
        rule["types"] -= {"null"}
    if "resolution" in written:
        written["resolution"]["types"] -= {"string"}
        assert written["resolution"].pop("enum") == {"raw"}
    assert asked["fields"] == written
    defaults = {each["name"]: each["schema"].get("default") for each in parameters}
    assert {name: field.default for name, field in model.model_fields.items()} | {
        "resolution": "raw"
    } == {"resolution": "raw", **defaults}


def test_contract_lists_every_error_code() -> None:
    codes = {code for _, code in errors.STATUS_AND_CODE.values()}
    codes |= {"internal_error", "too_many_requests"}  # the latter is the gateway's own
    assert set(SCHEMAS["Error"]["properties"]["error"]["enum"]) == codes


def examples(node: Any, place: str = "") -> list[tuple[str, Schema, Any]]:
    if isinstance(node, list):
        return [found for each in node for found in examples(each, place)]
    if not isinstance(node, dict):
        return []
    found = [(place, node["schema"], node["example"])] if {"schema", "example"} <= set(node) else []
    for key, part in node.items():
        found += examples(part, f"{place}/{key}")
    return found


EXAMPLES = {place: (schema, example) for place, schema, example in examples(CONTRACT)}


@pytest.mark.parametrize(("schema", "example"), EXAMPLES.values(), ids=EXAMPLES)
def test_example_fits_its_schema(schema: Schema, example: Any) -> None:
    validator(schema).validate(example)


def test_every_body_has_an_example() -> None:
    for key, operation in OPERATIONS.items():
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"]["application/json"], key


def test_every_component_is_used() -> None:
    text = json.dumps(CONTRACT)
    for kind, components in CONTRACT["components"].items():
        for name in components:
            used = f"#/components/{kind}/{name}" in text or kind == "securitySchemes"
            assert used, f"{kind}/{name}"


def test_contract_carries_current_version() -> None:
    assert json.loads(documentation.contract_json())["info"]["version"] == __version__


def test_page_runs_only_its_own_code() -> None:
    content, policy = documentation.page()
    html = content.decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (element,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(element.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert " on" not in re.sub(r"<script>.*?</script>|[^<>]+(?=<)", "", html, flags=re.DOTALL)
    assert "style=" not in html
