"""What is written for those who look at the shop from outside. It reads, and names no customer."""
