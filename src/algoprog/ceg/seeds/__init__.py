"""What seeds say: samples of ln CEG, the spread of a model's seeds, and which gains are findings."""
