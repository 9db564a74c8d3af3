"""The interfaces that services use: Protocols of domain types, implemented by the adapters."""
