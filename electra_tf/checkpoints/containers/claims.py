"""What a file of weights claims to hold, against its size: a few bytes can ask for all the memory there is."""

import os

from electra_tf.errors import CheckpointError

_MOST = 20  # times its size: trained weights hardly compress


def check_claim(claimed: int, path) -> None:
    """Raises `CheckpointError` where a file claims to hold more bytes than are likely in one of its size."""
    size = os.path.getsize(path)
    if claimed > _MOST * size:
        raise CheckpointError(
            f"the file would become {claimed:,} bytes in memory, and has {size:,}",
            where=path,
            expected=f"at most {_MOST} times its size, as of weights, which hardly compress",
            remedy="do not open it; copy it again from where it came from, or ask for safetensors",
        )
