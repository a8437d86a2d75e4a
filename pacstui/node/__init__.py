"""The node: makes the rooms, starts them in order and ends them in the other. The only package that knows them all.

``node`` has the order of start; ``course`` what is done while a node runs and how it ends. Each of the other modules
opens one group of rooms, and says there what they need: rounds, what a reload changes, and when they end.
"""

from pacstui.node.node import Node
from pacstui.node.process import run

__all__ = ["Node", "run"]
