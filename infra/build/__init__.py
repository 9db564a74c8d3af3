"""The code that is deployed: the layer and the functions, built without Docker."""
