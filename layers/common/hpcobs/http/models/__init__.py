"""What clients may send, as pydantic models, and how it becomes the domain's types."""
