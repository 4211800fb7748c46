"""Method matrix: every transform with every solver, published methods named, on a real layer."""

import panel as pn

from workbench.apps import method_page

pn.extension("plotly")
method_page.build().servable()
