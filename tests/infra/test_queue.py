"""The queues: encryption, TLS, visibility and retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_every_queue_is_encrypted(template: Template) -> None:
    queues = template.all("SQS::Queue")
    assert [queue["SqsManagedSseEnabled"] for queue in queues] == [True] * 3


def test_queues_and_topics_require_tls(template: Template) -> None:
    guarded = set()
    for kind, targets in (("SQS::QueuePolicy", "Queues"), ("SNS::TopicPolicy", "Topics")):
        for policy in template.all(kind):
            denials = [
                statement
                for statement in policy["PolicyDocument"]["Statement"]
                if statement["Effect"] == "Deny"
                and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            ]
            assert len(denials) == 1
            guarded |= {template.referred(target) for target in policy[targets]}
    assert guarded == template.paths("SQS::Queue") | template.paths("SNS::Topic")


def test_visibility_exceeds_collector_timeout(template: Template) -> None:
    visibility = template.one("SQS::Queue", "Samples/Samples")["VisibilityTimeout"]
    assert visibility > template.functions()["collector"]["Timeout"]


def test_day_without_database_makes_no_dead_letters(template: Template) -> None:
    queue = template.one("SQS::Queue", "Samples/Samples")
    tries = queue["RedrivePolicy"]["maxReceiveCount"]
    assert tries * queue["VisibilityTimeout"] > 24 * 3600


def test_dead_letters_outlive_queue_retention(template: Template) -> None:
    queue = template.one("SQS::Queue", "Samples/Samples")
    dead_letters = template.one("SQS::Queue", "Samples/DeadLetters")
    assert queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][1] == "Arn"
    target = template.referred(queue["RedrivePolicy"]["deadLetterTargetArn"])
    assert target == "Samples/DeadLetters"
    assert dead_letters["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
