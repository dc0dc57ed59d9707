"""Fine-tunes a checkpoint: `python run_finetuning.py --train FILE --init_checkpoint CKPT --model_dir DIR`."""

import sys

from electra_tf.cli import finetune
from electra_tf.cli.main import run_command
from electra_tf.startup import leave_out_optional_imports, restart_with_tunables

if __name__ == "__main__":
    restart_with_tunables()
    leave_out_optional_imports()
    run_command(finetune, "run_finetuning.py", sys.argv[1:])
