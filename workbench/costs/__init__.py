"""Costs: bytes, operations, time and hardware of formats and recipes, by models that say so."""

from .architecture import Architecture, architecture, architectures
from .energy import Energy, EnergyTable, energy_of, energy_table
from .gates import GateCosts, Gates, gates
from .hardware import Figure, Hardware, Memory, hardware, hardware_table, own_rows, read_hardware
from .operands import Added, Operands, Unit, unit_for
from .operations import Operation, operations
from .roofline import Point, Step, Traffic, grouped, roofline
from .scaling import ScalingLaw, fit_scaling, memory_saved, stored_bits
from .workload import Workload

__all__ = [
    "Added", "Architecture", "Energy", "EnergyTable", "Figure", "GateCosts", "Gates",
    "Hardware", "Memory", "Operands", "Operation", "Point", "ScalingLaw", "Step", "Traffic",
    "Unit", "Workload", "architecture", "architectures", "energy_of", "energy_table",
    "fit_scaling", "gates", "grouped", "hardware", "hardware_table", "memory_saved",
    "operations", "own_rows", "read_hardware", "roofline", "stored_bits", "unit_for",
]  # fmt: skip
