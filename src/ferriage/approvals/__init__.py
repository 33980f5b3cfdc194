"""The authorisation register: when a line may be opened, sold and kept open."""
