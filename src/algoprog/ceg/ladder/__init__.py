"""What a ladder of models says: gains over scale, their drift, predictions of a larger model."""
