"""Stripe's side: one account in test mode, its API, and what it calls back with.

Written after Stripe's public description; tests hold each object against its canonical one.
"""
