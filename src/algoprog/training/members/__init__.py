"""Members: runs of one shape that train in one process, their passes through the model computed together."""
