"""The docs: `scripts/docs` builds them. Nothing is fetched, neither by the build nor by the pages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import rnngen

project = "rnngen"
author = "the rnngen authors"
copyright = author
release = rnngen.__version__
# The source is the whole repository, so that a page is read where it lies, and its links work there too.
root_doc = "docs/index"
include_patterns = ["docs/**", "experiments/README.md", "experiments/*/README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = ["**/.*", "build", "rnngen", "runs", "scripts", "tests", "docs/_*"]
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "myst_nb",
    "docstrings",
    "experiments",
    "mathml",
    "search_results",
    "streams",
]
nitpicky = True
# Names of other libraries: their inventories would have to be downloaded.
# And classes that only say what a factory of an executor returns.
nitpick_ignore_regex = [("py:.*", r"(?!rnngen\.).*"), ("py:class", r"rnngen\.sweep\.executors\.\w+\.\w+")]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "rnngen"
html_static_path = ["_static"]
html_extra_path = ["_root"]  # the first page, which leads to that of the docs
html_css_files = ["rnngen.css"]
html_show_sphinx = False
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
