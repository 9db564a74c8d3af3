"""The format that crosses process boundaries at a high rate: sample batches, posted and queued."""
