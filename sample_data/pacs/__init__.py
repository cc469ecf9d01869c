"""A PACS to try things with."""
