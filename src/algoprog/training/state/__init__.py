"""What training changes: held aside, written as checkpoints, locked while it is written."""
