"""Pre-trains ELECTRA: `python run_pretraining.py --data DATA --model_dir DIR --gin_file electra_small`."""

import sys

from electra_tf.cli import pretrain
from electra_tf.cli.main import run_command
from electra_tf.startup import leave_out_optional_imports, restart_with_tunables

if __name__ == "__main__":
    restart_with_tunables()
    leave_out_optional_imports()
    run_command(pretrain, "run_pretraining.py", sys.argv[1:])
