"""Backups: copies of the archive elsewhere, proved by reading them back, and the way back in.

A target is a folder or a bucket; docs/backup-restore.md describes what lies in it, so that it can be restored without
this program. Everything that touches a target runs in a process of its own (``worker``), which may hang or die there.
"""
