"""Brings the database up to date when a site is deployed."""
