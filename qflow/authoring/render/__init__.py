"""A spec as Python: `module` writes the workflow, `beside` the test that stands beside it."""

from qflow.authoring.render.beside import render_test
from qflow.authoring.render.module import render

__all__ = ["render", "render_test"]
