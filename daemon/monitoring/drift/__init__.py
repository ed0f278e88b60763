"""Drift detectors: one contract (base.py), one file per variant."""
