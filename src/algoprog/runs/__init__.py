"""What a run leaves behind: the only contract between training and analysis."""
