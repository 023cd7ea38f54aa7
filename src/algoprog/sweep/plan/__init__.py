"""What a sweep will cost in FLOPs, memory and time, before it starts."""
