"""Options of the axis `output_gate`: a gate behind attention."""
