"""What hpcobs does: one use case per module, over the ports, knowing no adapter."""
