"""Limits of a whole account, held across processes through Redis: the only redis imports. What is asked and what it means is core's."""
