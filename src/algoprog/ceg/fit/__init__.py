"""Fits of loss over cost: monotone splines, trends and scaling laws."""
