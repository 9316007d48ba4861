"""Wrong rules made of right ones, for every op of the registry: does `gradcheck` find each?

Run `python -m tests.mutation`; the tables stand in docs/gradcheck.md.
"""
