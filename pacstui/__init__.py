"""pacstui: a PACS archive node and the terminal console that runs it."""

__version__ = "0.1.0"
