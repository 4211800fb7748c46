"""Pure figures, one file a view: summaries in, a figure with caption, table and exports out."""

from .channel_fan import Fan, channel_fan
from .conformance import conformance
from .error_by_cause import error_by_cause
from .error_field import ErrorField
from .expected_error import ExpectedCurve, ExpectedErrors, expected_error
from .metrics_table import Figures, metrics_table
from .summaries import Grid, Histogram, grid_of
from .value_grid import value_grid
from .view import View, ViewSpec

__all__ = [
    "ErrorField",
    "ExpectedCurve",
    "ExpectedErrors",
    "Fan",
    "Figures",
    "Grid",
    "Histogram",
    "View",
    "ViewSpec",
    "channel_fan",
    "conformance",
    "error_by_cause",
    "expected_error",
    "grid_of",
    "metrics_table",
    "value_grid",
]
