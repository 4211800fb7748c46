"""The style sheet of the Panel pages: quiet, dense, no font or icon from elsewhere."""

from __future__ import annotations

from ..views.browser import style_sheet

CSS = """
#header { min-height: 44px; height: 44px; padding: 0 10px; box-shadow: none; }
#header .title, #header .app-header a { font-size: 18px; }
#header .navbar-toggler, #sidebar-button { transform: scale(0.75); }
#sidebar { padding: 4px 0 24px 0; }
#main { padding: 8px 14px; }
"""
DARK = """
body, #container, #content, #main, #sidebar { background-color: #14181E !important; }
"""

# Panel draws each pane in a shadow tree of its own, so its style goes in with it.
CARD = (
    style_sheet()
    + """
:host { font-family: system-ui, sans-serif; color: inherit; }
p { margin: 0; }
.tensor { font-size: 17px; font-weight: 600; } .quiet { font-size: 13px; opacity: 0.85; }
.problem { font-size: 13px; border-left: 4px solid #D55E00; padding: 2px 0 2px 8px; margin: 2px 0; }
.scroll { max-height: 320px; overflow: auto; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; } td, th { padding: 3px 12px 3px 0;
  border-bottom: 1px solid rgba(128,140,155,0.35); white-space: nowrap; }
code, pre { font-family: ui-monospace, monospace; font-size: 12.5px; white-space: pre-wrap; }
"""
)

# The bar that opens a table: a line of text rather than a button.
BAR = """
:host(.card) { border: none !important; box-shadow: none !important;
  outline: none !important; }
:host(.card), .card-header { background: transparent !important; padding: 0 !important; }
.card-header { border: none !important; box-shadow: none !important; min-height: 26px; }
.card-button { font-size: 12px; width: 24px; }
.card-title, .card-header-row, h3 { font-size: 13px !important; font-weight: 400 !important;
  text-decoration: underline; }
"""
SMALL = ".bk-btn { font-size: 12px; padding: 3px 8px; line-height: 1.2; }"
