"""Pieces of screens, one a file. They draw lines of text and are told nothing about the node."""
