"""The use cases of hpcobs, one per module, on top of the ports and without any adapter."""
