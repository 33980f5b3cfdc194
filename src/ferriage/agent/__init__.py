"""Runs on a gateway: pulls what it must run, applies it, counts, reports. No Django here."""
