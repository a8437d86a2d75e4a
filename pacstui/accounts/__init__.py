"""Accounts: who may do what, how people sign in, and what an administrator does about it."""
