"""Usage and operations in numbers: counted as they happen, read for a period, written as files on a schedule."""
