"""The commands, one file each, thin: flags -> function call."""
