# SPDX-License-Identifier: GPL-2.0
"""How Sphinx builds this documentation: with nothing but what is in this folder."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

project = "stable-pages"
author = "The stable-pages authors"
project_copyright = author

root_doc = "index"
highlight_language = "none"
nitpicky = True
# Pictures of stacks; it is beside this file.
extensions = ["stack_picture"]

html_theme = "alabaster"
html_theme_options = {
    "description": "Data that does not change between its checksum and the medium",
    "fixed_sidebar": True,
    "page_width": "66rem",
}
html_show_sourcelink = False
html_copy_source = False
smartquotes = False

# Those of stablepi are made by the program itself.
man_pages = [
    ("admin-guide/stablepitab", "stablepitab", "stable-pi devices to open at boot", author, 5),
    ("admin-guide/stable-pi", "stable-pi", "the target of device mapper", author, 7),
]
