"""The settings of Sphinx. (scripts/build_docs.py builds the documentation.)"""

from flake8_mppitfalls import __version__

project = "flake8-mppitfalls"
html_title = f"flake8-mppitfalls {__version__}"
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["mppitfalls.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
