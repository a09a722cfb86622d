"""The dashboard and the HTTP interface: pages over `qflow.read`, actions through the engine's commands."""
