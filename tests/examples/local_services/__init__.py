"""Servers on this machine that speak the protocols of the services the examples use."""
