"""
Working on policies: their tests, their lint and their pages.

Everything here reads a folder of policies and says something about it; nothing here decides a promotion.
"""
