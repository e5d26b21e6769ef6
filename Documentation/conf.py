# SPDX-License-Identifier: GPL-2.0
"""How Sphinx builds this documentation: with nothing beside itself."""

project = "stable-pages"
author = "The stable-pages authors"
project_copyright = author

root_doc = "index"
highlight_language = "none"
nitpicky = True

html_theme = "alabaster"
html_theme_options = {
    "description": "Data that does not change between its checksum and the medium",
    "fixed_sidebar": True,
    "page_width": "66rem",
}
html_show_sourcelink = False
html_copy_source = False
smartquotes = False
