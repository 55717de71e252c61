"""Sphinx: the user guide in Markdown, the API from numpydoc docstrings."""

from importlib.metadata import version as installed_version
from importlib.util import find_spec

project = "skgen"
author = "The skgen developers"
copyright = "The skgen developers"  # the name Sphinx wants
version = release = installed_version("skgen")

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 2
math_number_all = False

# Methods are listed on the page of their class.
numpydoc_show_class_members = False
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_member_order = "bysource"

html_theme = "pydata_sphinx_theme" if find_spec("pydata_sphinx_theme") else "alabaster"
html_title = "skgen"
html_show_sourcelink = False


def skip_foreign(app, what, name, member, skip, options):
    """Leave out what scikit-learn defines or generates, and documents."""
    generated = name.startswith("set_") and name.endswith("_request")
    defined = (getattr(member, "__module__", None) or "").startswith("sklearn.")
    return True if generated or defined else None


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign)
