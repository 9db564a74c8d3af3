"""The Lambda functions: thin handlers over the shared layer."""
