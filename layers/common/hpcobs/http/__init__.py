"""The HTTP edge: routes, bodies, answers and errors, shared by all functions behind the gateway."""
