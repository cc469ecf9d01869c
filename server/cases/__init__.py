"""Ultrasound cases for readers: what a model says of a picture, and what a reader says."""
