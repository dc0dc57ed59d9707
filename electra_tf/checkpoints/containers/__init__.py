"""Files of tensors: bytes to arrays by name and back. No encoder, and no table of names, is known here."""
