"""Answers the long-polls of gateways from the change feed: reads only, no Django."""
