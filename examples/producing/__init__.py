"""What both examples' produce.py share: real tools, run on this machine, leaving no trace of it."""
