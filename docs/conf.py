"""Sphinx settings; `make docs` builds."""

project = "Ferriage"
author = "The Ferriage developers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Ferriage"
exclude_patterns = ["_build", "screenshots"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]
