"""Interactive annotation of liver-cancer imaging: the library behind the app and the server."""

__version__ = "0.1.0"
