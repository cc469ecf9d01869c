"""One file per command of ``hepatic``."""
