"""Ferriage: run a paid, lawful VPN service end to end on machines of your own."""

__version__ = "0.1.0"
