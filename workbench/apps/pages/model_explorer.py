"""Model explorer: which layers of a model hurt when quantized, why, and what helps."""

import panel as pn

from workbench.apps import model_page

pn.extension("plotly")
model_page.build().servable()
