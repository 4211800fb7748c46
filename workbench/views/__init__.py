"""Pure figures, one file a view: summaries in, a figure with caption, table and exports out."""

from .channel_fan import Fan, channel_fan
from .conformance import conformance
from .design_space import design_space
from .error_by_cause import error_by_cause
from .error_field import ErrorField
from .expected_error import ExpectedCurve, ExpectedErrors, expected_error
from .fan_pair import fan_pair
from .metrics_table import Figures, metrics_table
from .outlier_map import outlier_map
from .qsur_path import QsurPath
from .qsur_view import qsur_view
from .sensitivity import Sensitivity
from .sensitivity_map import sensitivity_map
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
    "QsurPath",
    "Sensitivity",
    "View",
    "ViewSpec",
    "channel_fan",
    "conformance",
    "design_space",
    "error_by_cause",
    "expected_error",
    "fan_pair",
    "grid_of",
    "metrics_table",
    "outlier_map",
    "qsur_view",
    "sensitivity_map",
    "value_grid",
]
