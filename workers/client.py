"""The application that every function in this folder belongs to."""

import qflow

app = qflow.App("acme")
