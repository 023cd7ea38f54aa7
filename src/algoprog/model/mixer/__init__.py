"""Options of the axis `mixer`: what mixes positions in a layer."""
