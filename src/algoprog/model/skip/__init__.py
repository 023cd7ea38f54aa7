"""Options of the axis `skip`: what layers are joined by besides the residual stream."""
