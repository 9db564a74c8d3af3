"""The signing key: random, and rotated before any token outlives two keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.auth.site_tokens import MAX_DAYS

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_key_is_long_and_generated(template: Template) -> None:
    key = template.one("SecretsManager::Secret")
    assert key["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}
    assert "SecretString" not in key


def test_no_token_outlives_previous_key(template: Template) -> None:
    schedule = template.one("SecretsManager::RotationSchedule")
    assert schedule["RotationRules"]["AutomaticallyAfterDays"] >= MAX_DAYS


def test_deployment_does_not_rotate_key(template: Template) -> None:
    schedule = template.one("SecretsManager::RotationSchedule")
    assert schedule["RotateImmediatelyOnUpdate"] is False


def test_secrets_manager_rotates_only_this_key(template: Template) -> None:
    schedule = template.resource("SecretsManager::RotationSchedule")
    function = schedule["Properties"]["RotationLambdaARN"]
    assert template.referred(function) == "Functions/rotate/Function"
    (permission,) = [
        one
        for one in template.all("Lambda::Permission")
        if one["Principal"] == "secretsmanager.amazonaws.com"
    ]
    assert permission["Action"] == "lambda:InvokeFunction"
    assert template.referred(permission["FunctionName"]) == "Functions/rotate/Function"
    assert template.referred(permission["SourceArn"]) == "Signing/Key"
    assert permission["SourceAccount"] == "111122223333"
    assert "Signing/MayRotate" in template.depends_on(schedule)
    assert "Functions/rotate/Role/DefaultPolicy" in template.depends_on(schedule)
