"""Format designer: a format of your own, and what it makes of a tensor."""

import panel as pn

from workbench.apps import format_designer_page

pn.extension("plotly")
format_designer_page.build().servable()
