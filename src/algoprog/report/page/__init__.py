"""The HTML page of a sweep."""
