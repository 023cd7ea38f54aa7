"""How runs are started: on this machine, by Slurm, by Ray."""
