"""The CDK app: one stack per site. The constructs are small; ``stack`` puts them together."""

from infra.node import prefer_node_from_wheel

# aws_cdk starts node when it is imported, so where node is must be known before.
prefer_node_from_wheel()
