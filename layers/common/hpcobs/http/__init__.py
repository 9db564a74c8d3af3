"""The HTTP edge: routes, requests, responses and errors, for all functions behind the gateway."""
