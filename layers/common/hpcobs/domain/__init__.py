"""What a job, a node and a sample are, and how they change. Standard library only."""
