"""Format explorer: what every bit of a number format does to a real tensor."""

import panel as pn

from workbench.apps import format_page

pn.extension("plotly")
format_page.build().servable()
