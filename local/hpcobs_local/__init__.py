"""The whole service on one machine: the very Lambda handlers, in processes of their own."""
