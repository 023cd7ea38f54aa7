"""Tables of gains for the terminal and the page."""
