"""Explorers: state, controls and views over one selection; no host code."""
