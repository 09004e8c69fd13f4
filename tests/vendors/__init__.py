"""The vendors' files, tried with the texts that vendors really send."""
