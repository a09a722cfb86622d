"""Code that the renderer copies into workflows, name by name, with what each name needs.

Real modules, so that the types, the linter and the tests see what users are given. Nothing here is
imported by qflow itself, and nothing here imports qflow's inside: only its public names.
"""
