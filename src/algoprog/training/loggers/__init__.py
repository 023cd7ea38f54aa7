"""Where curves are shown besides `curve.csv`; each option of `logger=` is one file and makes one Lightning logger.

They are made on the first process of a run alone.
"""
