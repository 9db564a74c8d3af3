"""A simulated cluster: same seed, same life. What it tells is always marked as ``mock``."""
