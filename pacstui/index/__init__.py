"""The index: what is known of the objects, and how to search it."""

from pacstui.index.queries import Index

__all__ = ["Index"]
