"""Migrations of the database, when a site is deployed."""
