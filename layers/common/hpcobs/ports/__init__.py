"""What the services need of the world: Protocols of domain types, implemented by the adapters."""
