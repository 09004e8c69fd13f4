"""Everything that can go wrong, row by row: what happens on the wire, what each end gets, what the report says, what is left behind.

RELIABILITY.md is made from these rows (`python -m tests.reliability.page`), and each of them is run as a test.
"""
