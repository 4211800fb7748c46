"""Sweeps and measurements."""
