"""Who calls: the gateway asks before it lets a request through."""
