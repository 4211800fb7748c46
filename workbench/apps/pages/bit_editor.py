"""Bit-field editor: what each bit of a code means, and what other formats make of its value."""

import panel as pn

from workbench.apps import bit_editor_page

pn.extension()
bit_editor_page.build().servable()
