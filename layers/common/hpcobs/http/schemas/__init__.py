"""Request bodies and queries as pydantic models, and how they become the domain's types."""
