"""Measures qflow beside other task libraries: one run, one machine, one private Redis for all.

Only the ratios within one run mean something: another machine, or the same one with a neighbour,
moves every figure. Run it with `make bench`, or `python -m benchmarks --help`.
"""
