"""Drawings of a sweep, for files and for the page."""
