"""Where curves are shown besides `curve.csv`; each option of `logger=` is one file and makes one Lightning logger."""
