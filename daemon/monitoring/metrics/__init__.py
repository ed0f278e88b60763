"""Prequential metrics: each example is scored before it is learned. One file per kind; all exact across save and load."""
